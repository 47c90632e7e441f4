"""Checkpoints: the published format, round trips, and everything that can be wrong with one."""

from __future__ import annotations

import json
import os
import resource
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from genhub_linfusion import LinFusionAttention, weights
from genhub_linfusion.published import self_attention_layers
from genhub_linfusion.weights import CheckpointError


@pytest.fixture
def folder(golden_folder, tmp_path):
    """A copy of the golden checkpoint that a test may spoil."""
    return shutil.copytree(golden_folder / "linfusion", tmp_path / "checkpoint")


def edit_config(folder, change):
    path = folder / weights.CONFIG
    config = json.loads(path.read_text())
    path.write_text(json.dumps(change(config) or config))


def edit_tensors(folder, change):
    path = folder / weights.WEIGHTS
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_golden_checkpoint_fits_the_golden_unet(golden_folder, unet):
    checkpoint = weights.load(golden_folder / "linfusion")
    checkpoint.check(self_attention_layers(unet))
    assert len(checkpoint.layers) == 7
    assert {len(tensors) for tensors in checkpoint.tensors.values()} == {17}
    assert {t.dtype for x in checkpoint.tensors.values() for t in x.values()} == {torch.float16}


def test_weights_may_be_named_by_their_file(folder):
    assert weights.load(folder / weights.WEIGHTS).folder == folder


def test_older_config_with_lists_is_read_alike(folder):
    expected = weights.load(folder).layers

    def age(config):
        config["_class_name"] = "StableMamba"
        config["modules_list"] = [
            [x["module_name"], x["dim_n"], x["heads"]] for x in config["modules_list"]
        ]

    edit_config(folder, age)
    assert weights.load(folder).layers == expected


def test_layers_are_found_by_name_whatever_their_place(folder, linear_unet):
    def swap_first_two(config):
        listed = config["modules_list"]
        listed[0], listed[1] = listed[1], listed[0]

    def swap_tensors(tensors):
        other = {"0": "1", "1": "0"}
        renamed = {}
        for key, tensor in tensors.items():
            place, parameter = key.split(".", 1)
            renamed[f"{other.get(place, place)}.{parameter}"] = tensor
        tensors.clear()
        tensors.update(renamed)

    expected = {name: x.state_dict() for name, x in self_attention_layers(linear_unet).items()}
    edit_config(folder, swap_first_two)
    edit_tensors(folder, swap_tensors)
    for name, tensors in weights.load(folder).tensors.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor.float(), expected[name][key])


def test_round_trip_is_equal_in_bits_and_order(golden_folder, linear_unet, tmp_path):
    layers = self_attention_layers(linear_unet)
    in_another_order = dict(sorted(layers.items()))
    weights.save(in_another_order, tmp_path / "saved", dtype=torch.float16)
    published = golden_folder / "linfusion"
    ours, theirs = (load_file(x / weights.WEIGHTS) for x in (tmp_path / "saved", published))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    ours, theirs = (
        json.loads((x / weights.CONFIG).read_text()) for x in (tmp_path / "saved", published)
    )
    assert ours["modules_list"] == theirs["modules_list"]
    assert ours["_class_name"] == theirs["_class_name"]
    assert sorted(os.listdir(tmp_path / "saved")) == sorted(os.listdir(published))


@pytest.mark.parametrize("mid_dim", [None, -1, 3])
def test_every_width_of_feature_networks_survives_a_round_trip(tmp_path, mid_dim):
    layer = LinFusionAttention(8, 2, mid_dim)
    weights.save({"a.attn1": layer}, tmp_path)
    checkpoint = weights.load(tmp_path)
    assert checkpoint.mid_dim("a.attn1") == mid_dim
    other = LinFusionAttention(8, 2, checkpoint.mid_dim("a.attn1"))
    checkpoint.load_into({"a.attn1": other})
    for key, tensor in layer.state_dict().items():
        assert torch.equal(other.state_dict()[key], tensor)


def test_empty_layers_take_the_tensors_over_without_a_copy(folder, unet):
    checkpoint = weights.load(folder)
    layers = {
        name: LinFusionAttention.from_attention(attn.half().requires_grad_(False), init="empty")
        for name, attn in self_attention_layers(unet).items()
    }
    checkpoint.load_into(layers)
    for name, layer in layers.items():
        for key, parameter in layer.named_parameters():
            assert parameter.data_ptr() == checkpoint.tensors[name][key].data_ptr()
            assert not parameter.requires_grad


def test_layers_keep_their_dtype(folder, linear_unet):
    layers = self_attention_layers(linear_unet)
    weights.load(folder).load_into(layers)
    assert {p.dtype for layer in layers.values() for p in layer.parameters()} == {torch.float32}


def test_subset_of_the_layers_is_allowed_only_when_asked_for(folder, unet):
    checkpoint = weights.load(folder)
    some = dict(list(self_attention_layers(unet).items())[:2])
    checkpoint.check(some, subset=True)
    with pytest.raises(CheckpointError) as raised:
        checkpoint.check(some)
    assert str(raised.value).count("not in the model") == 5


def test_all_mismatches_stand_in_one_error(folder, unet, linear_unet):
    def spoil(config):
        listed = config["modules_list"]
        listed[1]["heads"] = 2
        listed[2]["module_name"] = "elsewhere.attn1"

    edit_config(folder, spoil)
    checkpoint = weights.load(folder)
    layers = self_attention_layers(unet)
    first = next(iter(layers))
    layers[first] = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    with pytest.raises(CheckpointError) as raised:
        checkpoint.check(layers)
    lines = str(raised.value).splitlines()
    assert lines[0] == f"the checkpoint in {folder} does not fit this model:"
    assert [line.strip() for line in lines[1:]] == [
        "up_blocks.0.attentions.0.transformer_blocks.0.attn1: not in the checkpoint",
        "elsewhere.attn1: not in the model",
        f"{first}: it is cross-attention",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1: 2 heads in the checkpoint, 4 in "
        "the model",
    ]


def test_misfit_changes_no_weight(folder):
    good, bad = LinFusionAttention(16, 4), LinFusionAttention(32, 4, 5)
    names = [layer.name for layer in weights.load(folder).layers[:2]]
    before = {key: tensor.clone() for key, tensor in good.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"to_q_.0.weight is \(32, 32\) in the checkpoint"):
        weights.load(folder).load_into(dict(zip(names, (good, bad), strict=True)), subset=True)
    assert all(torch.equal(tensor, before[key]) for key, tensor in good.state_dict().items())


def test_faulty_tensors_are_all_named(folder):
    def spoil(tensors):
        del tensors["0.to_q.weight"]
        tensors["7.to_q.weight"] = torch.zeros(1)
        tensors["1.to_k.weight"] = torch.zeros(3, 3)
        tensors["2.to_v.weight"][0, 0] = float("nan")
        tensors["3.to_out.0.bias"][0] = float("inf")
        tensors["4.to_out.0.bias"] = torch.zeros(16, dtype=torch.int32)

    edit_tensors(folder, spoil)
    with pytest.raises(CheckpointError) as raised:
        weights.load(folder)
    for line in (
        "0.to_q.weight: missing",
        "7.to_q.weight: not a parameter of a listed layer",
        "1.to_k.weight: shape (3, 3), expected (32, 32)",
        "2.to_v.weight: holds NaN or infinity",
        "3.to_out.0.bias: holds NaN or infinity",
        "4.to_out.0.bias: torch.int32, expected floating point",
    ):
        assert line in str(raised.value)


def test_adapters_have_no_place_in_the_format(tmp_path):
    layer = LinFusionAttention(8, 2)
    layer.to_q.lora = torch.nn.Linear(8, 8, bias=False)
    with pytest.raises(CheckpointError, match=r"to_q.lora.weight is only in the model"):
        weights.save({"a.attn1": layer}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_pickled_weights_are_refused(folder):
    (folder / weights.WEIGHTS).rename(folder / "diffusion_pytorch_model.bin")
    with pytest.raises(CheckpointError, match="may run code when read and is refused"):
        weights.load(folder)


def test_damaged_weights_are_reported(folder):
    (folder / weights.WEIGHTS).write_bytes(b"not a tensor file")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        weights.load(folder)


def test_missing_folder_is_reported(tmp_path):
    with pytest.raises(CheckpointError, match="No such file or directory; a LinFusion checkpoint"):
        weights.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [c], "is not the config of a LinFusion checkpoint"),
        (lambda c: c.update(_class_name="UNet2DModel"), "_class_name is 'UNet2DModel'"),
        (lambda c: c.pop("modules_list") and None, "has no list of layers"),
        (lambda c: c["modules_list"][3].update(heads="4"), "entry 3 of modules_list is"),
        (lambda c: c["modules_list"][3].update(dim_n=0), "entry 3 of modules_list is"),
        (lambda c: c["modules_list"][3].update(causal=True), "entry 3 of modules_list is"),
        (lambda c: c["modules_list"].insert(1, ["a", 3]), "entry 1 of modules_list is"),
        (lambda c: c["modules_list"].append(c["modules_list"][0]), "lists these layers twice"),
    ],
)
def test_unusable_config_is_refused(folder, change, message):
    edit_config(folder, change)
    with pytest.raises(CheckpointError, match=message):
        weights.load(folder)


def test_config_that_is_no_json_is_refused(folder):
    (folder / weights.CONFIG).write_text("{")
    with pytest.raises(CheckpointError, match="is not valid JSON"):
        weights.load(folder)


def test_full_disk_keeps_the_old_checkpoint(folder, linear_unet):
    before = (folder / weights.WEIGHTS).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            weights.save(self_attention_layers(linear_unet), folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (folder / weights.WEIGHTS).read_bytes() == before
    assert len(list(folder.iterdir())) == 2
