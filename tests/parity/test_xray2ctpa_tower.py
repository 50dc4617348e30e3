"""The visual tower of BiomedCLIP and what it is given, against the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.published_tower import recognise_tower, tower_in, tower_names
from xray2ctpa_bundle.vit import BiomedCLIP, tower_input

from tests.parity.fill import fill_keys
from transmodal.checkpoints import KeyMap, match

TINY = {"image_size": 32, "patch_size": 16, "width": 32, "depth": 2, "heads": 4, "embedding_dim": 24}


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    arrays = np.load(shared / f"goldens/xray2ctpa/{name}_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def keys(shared: Path, name: str) -> list[tuple[str, list[int], str]]:
    listed: list[tuple[str, list[int], str]] = json.loads((shared / f"goldens/xray2ctpa/{name}_keys.json").read_text())
    return listed


@pytest.fixture
def tower(shared: Path) -> BiomedCLIP:
    """The tiny reference network with its deterministic weights."""
    network = BiomedCLIP(**TINY)
    filled = fill_keys(keys(shared, "vit_tiny"))
    network.load_state_dict(match(filled, network.state_dict(), KeyMap(tower_names(2)), where="vit_tiny")[0])
    return network


def test_class_token_and_embedding_are_the_published_ones(shared: Path, tower: BiomedCLIP) -> None:
    expected = golden(shared, "vit_tiny")
    class_token, tokens = tower.trunk(expected["x"])
    assert_close(tower.head(class_token), expected["feat"], rtol=0, atol=5e-6)
    assert_close(torch.nn.functional.normalize(tower.head(class_token), dim=-1), expected["emb"], rtol=0, atol=2e-6)
    assert tokens.shape == (2, 4, 32)


def test_the_whole_encoder_gives_the_published_embedding(shared: Path, tower: BiomedCLIP) -> None:
    """Of a grey picture, which the tower sees three times."""
    grey = golden(shared, "vit_tiny")["x"][:, :1].tanh()
    class_token, tokens = tower.trunk(tower_input(grey, 32))
    condition = tower(grey)
    assert_close(condition.embedding, torch.nn.functional.normalize(tower.head(class_token), dim=-1))
    assert_close(condition.tokens, tokens)


def test_what_the_tower_is_given_is_what_the_published_preprocessing_makes(shared: Path) -> None:
    """Of a picture of 8 bits: divided by 255, normalised, resampled bilinearly; every fourth pixel is kept."""
    reference = golden(shared, "preprocess")
    scaled = reference["xray_u8"].float() / 255 * 2 - 1
    given = tower_input(scaled[None, None])
    assert given.shape == (1, 3, 224, 224)
    assert_close(given[0, :1, ::4, ::4], reference["xray_out"], rtol=0, atol=2e-6)
    assert torch.equal(given[:, 0], given[:, 2])


def test_the_published_list_of_tensors_is_the_network_of_the_defaults(shared: Path) -> None:
    listed = keys(shared, "biomedclip_visual")
    published = {key: torch.empty(shape, device="meta") for key, shape, _ in listed}
    recognised = recognise_tower(tower_in(published, "keys"), "keys")
    assert recognised.definition == {
        "_target_": "xray2ctpa_bundle.vit.BiomedCLIP",
        **{"image_size": 224, "patch_size": 16, "width": 768, "depth": 12, "heads": 12, "embedding_dim": 512},
    }
    with torch.device("meta"):
        network = BiomedCLIP()
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    state = tower_in(published, "keys")
    assert {recognised.key_map.name(key): tuple(value.shape) for key, value in state.items()} == ours
    assert sum(parameter.numel() for parameter in network.parameters()) == 86_191_872
