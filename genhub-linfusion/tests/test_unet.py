"""The tiny UNet with linear layers: golden outputs, losses and gradients of distillation."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import DDPMScheduler
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from genhub_linfusion import LinFusionAttention, reference
from genhub_linfusion.published import self_attention_layers

ATOL = 2e-5


@pytest.fixture(scope="module")
def io(golden):
    return golden("unet_io")


@pytest.fixture(scope="module")
def forward_order(golden_folder):
    return json.loads((golden_folder / "unet_meta.json").read_text())["forward_order"]


def run(unet, io):
    return unet(io["noisy"], io["timesteps"], io["encoder_hidden_states"]).sample


def recording(unet, names):
    """Run hooks that keep the outputs of some modules, in order of execution."""
    outputs = []
    for name in names:
        unet.get_submodule(name).register_forward_hook(lambda *call: outputs.append(call[2]))
    return outputs


def test_base_unet_and_noise_are_those_of_the_golden_data(unet, io):
    scheduler = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000
    )
    noisy = scheduler.add_noise(io["x0"], io["noise"], io["timesteps"])
    assert_close(noisy, io["noisy"], rtol=0, atol=ATOL)
    assert_close(run(unet, io), io["out_softmax"], rtol=0, atol=ATOL)


@pytest.mark.parametrize("kernel", [None, reference.linear_attention])
def test_output_with_linear_layers(linear_unet, io, forward_order, kernel):
    layers = self_attention_layers(linear_unet)
    assert len(layers) == 7
    for layer in layers.values():
        assert isinstance(layer, LinFusionAttention)
        layer.kernel = kernel or layer.kernel
    outputs = recording(linear_unet, forward_order)
    assert_close(run(linear_unet, io), io["out_linfusion"], rtol=0, atol=ATOL)
    assert_close(outputs[0], io["feat_first"], rtol=0, atol=ATOL)
    assert_close(outputs[-1], io["feat_last"], rtol=0, atol=ATOL)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_losses_and_gradients(unet, linear_unet, io, forward_order, checkpointing):
    linear_unet.requires_grad_(False)
    layers = list(self_attention_layers(linear_unet).values())
    for layer in layers:
        layer.requires_grad_(True)
    student_features = recording(linear_unet, forward_order)
    if checkpointing:  # which is only on in training mode; there is no dropout here
        linear_unet.enable_gradient_checkpointing()
        linear_unet.train()
    student = run(linear_unet, io)
    loss_noise = mse_loss(student, io["noise"])
    loss_kd = mse_loss(student, io["out_softmax"])
    teacher_features = recording(unet, forward_order)
    with torch.no_grad():
        run(unet, io)
    loss_feat = sum(
        mse_loss(a, b) for a, b in zip(student_features, teacher_features, strict=True)
    ) / len(teacher_features)
    loss = loss_noise + 0.5 * loss_kd + 0.5 * loss_feat
    for name, value in (("noise", loss_noise), ("kd", loss_kd), ("feat", loss_feat)):
        assert_close(value, io[f"loss_{name}"], rtol=0, atol=ATOL)
    assert_close(loss, io["loss"], rtol=0, atol=ATOL)
    loss.backward()
    gradients = {
        f"{i}.{key}": p.grad
        for i, layer in enumerate(layers)
        for key, p in layer.named_parameters()
    }
    norms = {k.removeprefix("gradnorm."): v for k, v in io.items() if k.startswith("gradnorm.")}
    assert gradients.keys() == norms.keys()
    for key, norm in norms.items():
        assert_close(gradients[key].norm(), norm, rtol=1e-3, atol=0)
    for key in ("0.to_q_.3.weight", "0.to_k.weight"):
        expected = io[f"grad.{key}"]
        assert_close(gradients[key], expected, rtol=0, atol=1e-4 * expected.abs().max().item())
