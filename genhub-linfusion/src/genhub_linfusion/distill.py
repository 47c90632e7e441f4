"""Distil a linear-attention student from a softmax teacher (arXiv 2409.02097, section on training).

The student is the teacher's denoiser with its chosen self-attention layers replaced; only the
replaced layers learn. With `eps` the model's prediction and `Y_l` the output of layer l:

    L = mse(eps_student, target) + 0.5 mse(eps_student, eps_teacher)
        + 0.5 mean_l mse(Y_l_student, Y_l_teacher)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from genhub.api import GenHubError
from genhub_linfusion import weights
from genhub_linfusion.captioned import CaptionedPictures

if TYPE_CHECKING:
    from genhub.api import Run
    from genhub_linfusion.plugin import DistillConfig

__all__ = ["Losses", "Student", "distill", "losses", "record_outputs"]

KD_WEIGHT = 0.5
FEATURE_WEIGHT = 0.5


class Losses(NamedTuple):
    """The three terms and their weighted sum, 0-d float32 tensors."""

    noise: Tensor
    kd: Tensor
    feature: Tensor
    total: Tensor


def losses(
    prediction: Tensor,
    features: list[Tensor],
    teacher_prediction: Tensor,
    teacher_features: list[Tensor],
    target: Tensor,
    *,
    teacher_weight: float = 1.0,
) -> Losses:
    """Compute the training loss in float32; `teacher_weight` 0 leaves the target's term alone.

    `prediction`, `teacher_prediction` and `target` are [B, C, H, W]; features are one [B, N, c]
    per replaced layer, in the same order on both sides.
    """
    noise = mse_loss(prediction.float(), target.float())
    kd = mse_loss(prediction.float(), teacher_prediction.float())
    pairs = zip(features, teacher_features, strict=True)
    feature = torch.stack([mse_loss(ours.float(), theirs.float()) for ours, theirs in pairs]).mean()
    total = noise + teacher_weight * (KD_WEIGHT * kd + FEATURE_WEIGHT * feature)
    return Losses(noise, kd, feature, total)


@contextmanager
def record_outputs(denoiser: nn.Module, paths: list[str]) -> Iterator[list[Tensor]]:
    """Collect the outputs of the modules at `paths` in every forward, in order of execution."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _args: Any, output: Tensor) -> None:
        outputs.append(output)

    with ExitStack() as hooks:
        for path in paths:
            handle = denoiser.get_submodule(path).register_forward_hook(keep)
            hooks.callback(handle.remove)
        yield outputs


class Student(nn.Module):
    """The denoiser whose forward also gives the outputs of the layers at `paths`.

    One module, so that data-parallel wrappers see every tensor that enters the loss.
    """

    def __init__(self, denoiser: nn.Module, paths: list[str]) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.paths = paths

    def forward(self, noisy: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Predict for `noisy` [B, C, H, W] at steps `t` [B] under `condition` [B, T, D]."""
        with record_outputs(self.denoiser, self.paths) as outputs:
            prediction = self.denoiser(noisy, t, encoder_hidden_states=condition).sample
        return prediction, outputs


def distill(run: Run, config: DistillConfig) -> None:
    """Train the linear layers that the run's mixer puts into its model, and save them.

    Writes the published checkpoint layout to `linfusion/` in the run folder. Steps draw pictures,
    noise and timesteps from generators that depend on (seed, step, rank) alone, so a resumed run
    goes through the same numbers as one that was never interrupted.
    """
    accelerator = run.accelerator()
    with run.pipeline("baseline") as baseline:
        teacher_unet = copy.deepcopy(baseline.context.denoisers["unet"])
    if teacher_unet.config.addition_embed_type == "text_time":
        raise GenHubError(
            "GH407",
            "'distill' trains on one text encoder, and this model (Stable Diffusion XL) has two",
            hint="use a Stable Diffusion 1.x or 2.x model",
        )
    teacher_unet.eval().requires_grad_(False)
    with ExitStack() as stack:
        student = stack.enter_context(run.pipeline())
        pipeline, layers = student.pipeline, student.driver("linfusion").layers
        student_unet = student.context.denoisers["unet"]
        stack.enter_context(_frozen(student_unet))
        parameters = [
            p for layer in layers.values() for p in layer.requires_grad_(True).parameters()
        ]
        optimizer = torch.optim.AdamW(
            parameters, lr=config.lr, betas=(0.9, config.beta2), weight_decay=0.0
        )
        paths = list(layers)
        model, optimizer = accelerator.prepare(Student(student_unet, paths), optimizer)
        teacher = Student(teacher_unet, paths)
        pictures = CaptionedPictures(config.data, pipeline, config.resolution)

        checkpoint = run.checkpoint()
        first, skipped = _resume(checkpoint, layers, optimizer)
        for step in range(first, config.steps):
            rate = config.lr * _schedule(config, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            generator = _generator(run.config.seed, step, accelerator.process_index)
            latents, condition = pictures.batch(config.batch, generator, config.caption_dropout)
            noisy, t, target = _noised(pipeline.scheduler, latents, generator)
            with torch.no_grad():
                taught = teacher(noisy, t, condition)
            made = model(noisy, t, condition)
            after_warmup = float(step >= config.warmup_kd_steps)
            terms = losses(*made, *taught, target, teacher_weight=after_warmup)
            accelerator.backward(terms.total)
            norm = accelerator.clip_grad_norm_(parameters, 1.0)
            if run.comm.agree(math.isfinite(float(norm))):
                optimizer.step()
                skipped = 0
            else:
                skipped += 1
                if skipped > config.max_bad_steps:
                    raise _diverged(step, skipped)
            optimizer.zero_grad(set_to_none=True)
            _tell(run, config, step, Losses(*(term.detach() for term in terms)), rate, float(norm))
            if accelerator.is_main_process and _due(config.checkpoint_every, step, config.steps):
                tensors = _tensors(layers, optimizer)
                checkpoint.save(step + 1, tensors, {"skipped": skipped})
        if accelerator.is_main_process:
            # Half precision is what the published checkpoints hold.
            weights.save(layers, run.folder / "linfusion", dtype=torch.float16)


@contextmanager
def _frozen(denoiser: nn.Module) -> Iterator[None]:
    """Hold a denoiser in evaluation mode without gradients, and give it back as it was."""
    training = denoiser.training
    learned = {p: p.requires_grad for p in denoiser.parameters()}
    denoiser.eval().requires_grad_(False)
    try:
        yield
    finally:
        for parameter, learns in learned.items():
            parameter.requires_grad_(learns)
        denoiser.train(training)


def _schedule(config: DistillConfig, step: int) -> float:
    """Give the factor of the learning rate: linear warm-up, then constant or a cosine to 2 %."""
    if step < config.lr_warmup:
        return (step + 1) / config.lr_warmup
    if config.lr_schedule == "constant":
        return 1.0
    through = (step - config.lr_warmup) / max(1, config.steps - config.lr_warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * through))


def _generator(seed: int, step: int, rank: int) -> torch.Generator:
    """Give the step's own source of pictures, timesteps and noise."""
    words = np.random.SeedSequence([seed, step, rank]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))


def _noised(
    scheduler: Any, latents: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Give (noisy latents, timesteps [B], target) at timesteps drawn uniformly."""
    steps = scheduler.config.num_train_timesteps
    t = torch.randint(0, steps, (len(latents),), generator=generator).to(latents.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    noisy = scheduler.add_noise(latents, noise, t)
    if scheduler.config.prediction_type == "v_prediction":
        return noisy, t, scheduler.get_velocity(latents, noise, t)
    return noisy, t, noise


def _tensors(layers: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flatten layers and optimiser state to named tensors."""
    tensors = {
        f"layers/{path}/{key}": value
        for path, layer in layers.items()
        for key, value in layer.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer/{index}/{key}": torch.as_tensor(value) for key, value in state.items()
        }
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}


def _resume(
    checkpoint: Any, layers: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[int, int]:
    """Load the last checkpoint, if there is one; give (next step, bad steps in a row)."""
    saved = checkpoint.load()
    if saved is None:
        return 0, 0
    step, tensors, state = saved
    for path, layer in layers.items():
        prefix = f"layers/{path}/"
        layer.load_state_dict(
            {
                key.removeprefix(prefix): value
                for key, value in tensors.items()
                if key.startswith(prefix)
            }
        )
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        kind, _, rest = key.partition("/")
        if kind == "optimizer":
            index, _, name = rest.partition("/")
            moments.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return step, int(state["skipped"])


def _due(every: int, step: int, steps: int) -> bool:
    return (step + 1) % every == 0 or step + 1 == steps


def _tell(
    run: Run, config: DistillConfig, step: int, terms: Losses, rate: float, norm: float
) -> None:
    if _due(config.log_every, step, config.steps):
        run.log(
            step=step + 1,
            loss=float(terms.total),
            loss_noise=float(terms.noise),
            loss_kd=float(terms.kd),
            loss_feature=float(terms.feature),
            lr=rate,
            grad_norm=norm,
        )
    run.progress(step + 1, config.steps, f"loss {float(terms.total):.4f}")


def _diverged(step: int, skipped: int) -> GenHubError:
    return GenHubError(
        "GH604",
        f"the gradients of {skipped} steps in a row, up to step {step}, are not finite",
        hint="lower task.lr, raise task.warmup_kd_steps, or use model.dtype: fp32; "
        "the last checkpoint is kept",
    )
