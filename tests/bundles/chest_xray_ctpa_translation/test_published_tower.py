"""Files that hold BiomedCLIP's visual tower: found under any prefix, in any container, loaded whole or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.published_tower import read_tower, tower_names, with_tower
from xray2ctpa_bundle.vit import BiomedCLIP

from transmodal.errors import InputError

SIZES = {"image_size": 32, "patch_size": 16, "width": 128, "depth": 2, "heads": 2, "embedding_dim": 12}


def published() -> dict[str, Tensor]:
    """A small tower with random weights under the published keys."""
    ours = {ours: theirs for theirs, ours in tower_names(2).items()}
    state = {}
    for key, value in BiomedCLIP(**SIZES).state_dict().items():
        module, _, parameter = key.rpartition(".")
        name = ours[key] if key in ours else f"{ours[module]}.{parameter}"
        state[name] = torch.randn(value.shape, generator=torch.Generator().manual_seed(len(state)))
    return state


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in published().items()}


TEXT = {"text.transformer.embeddings.word_embeddings.weight": torch.zeros(3, 2), "logit_scale": torch.tensor(1.0)}


@pytest.mark.parametrize(
    "content",
    [
        published(),
        prefixed("visual."),
        prefixed("visual.") | TEXT,
        {"state_dict": prefixed("module.visual.")},
        {"step": 3, "model": {"betas": torch.zeros(3)}, "ema": prefixed("xray_encoder.visual.") | TEXT},
    ],
    ids=["tower", "visual", "open_clip", "parallel", "training"],
)
def test_a_tower_is_found_wherever_it_stands(content: dict[str, object], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.bin")
    state, where, recognised = read_tower(tmp_path / "weights.bin")
    assert where == str(tmp_path / "weights.bin")
    assert state.keys() == published().keys()
    assert recognised.definition == {"_target_": "xray2ctpa_bundle.vit.BiomedCLIP", **SIZES}


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(prefixed("visual."), tmp_path / "model.safetensors")
    assert read_tower(tmp_path / "model.safetensors")[0].keys() == published().keys()


def test_the_weights_of_a_file_go_into_the_tower_of_a_network(tmp_path: Path) -> None:
    torch.save(prefixed("visual.") | TEXT, tmp_path / "weights.bin")
    network = nn.ModuleDict({"encoder": BiomedCLIP(**SIZES), "other": nn.Linear(2, 2)})
    assert with_tower(network, tmp_path / "weights.bin") is network
    encoder, expected = network["encoder"], published()
    assert_close(encoder.trunk.blocks[1].attention.qkv.weight, expected["trunk.blocks.1.attn.qkv.weight"])
    assert_close(encoder.trunk.positions, expected["trunk.pos_embed"])
    assert encoder(torch.zeros(1, 1, 32, 32)).embedding.shape == (1, 12)


def test_a_network_without_a_tower_is_refused(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "weights.bin")
    with pytest.raises(InputError, match="found 0 visual towers"):
        with_tower(nn.Linear(2, 2), tmp_path / "weights.bin")


def test_a_tower_of_other_sizes_is_refused_whole(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "weights.bin")
    network = BiomedCLIP(**(SIZES | {"depth": 3}))
    with pytest.raises(InputError, match=r"missing \(trunk\.blocks\.2"):
        with_tower(network, tmp_path / "weights.bin")
    assert not network.loaded


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda state: {"conv.weight": torch.zeros(2, 2)}, "0 visual towers among keys such as conv.weight"),
        (lambda state: state | prefixed("visual."), "2 visual towers"),
        (lambda state: {key: value for key, value in state.items() if "head" not in key}, "no head.proj.weight"),
        (lambda state: state | {"trunk.pos_embed": torch.zeros(1, 4, 128)}, "4 positions"),
    ],
)
def test_another_network_is_refused(change: object, found: str, tmp_path: Path) -> None:
    torch.save(change(published()), tmp_path / "weights.bin")  # type: ignore[operator]
    with pytest.raises(InputError, match=found):
        read_tower(tmp_path / "weights.bin")
