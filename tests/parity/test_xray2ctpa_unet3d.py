"""The factorised 3D U-Net against the published one, from the same deterministic weights.

The reference numbers come from the published code; weights and inputs follow from keys and seeds (``fill.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.published_names import CONSTANTS, unet_names
from xray2ctpa_bundle.unet3d import FactorisedUNet

from tests.parity.fill import fill_keys
from transmodal.checkpoints import KeyMap, MatchReport, match

SIZES: dict[str, dict[str, Any]] = {
    "unet3d_readme": {},
    "unet3d_small": {"dim": 16, "dim_mults": (1, 2, 4), "condition_dim": 24},
}


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    with np.load(shared / f"goldens/xray2ctpa/{name}_golden.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def published_keys(shared: Path, name: str) -> list[tuple[str, list[int], str]]:
    keys: list[tuple[str, list[int], str]] = json.loads((shared / f"goldens/xray2ctpa/{name}_keys.json").read_text())
    return keys


def weightless(name: str) -> FactorisedUNet:
    with torch.device("meta"):  # no weights are drawn only to be replaced
        return FactorisedUNet(**SIZES[name]).eval()


def filled(shared: Path, name: str) -> FactorisedUNet:
    """Our network with the deterministic weights."""
    network = weightless(name)
    state, _ = placed(fill_keys(published_keys(shared, name)), network)
    network.load_state_dict(state, assign=True)
    return network


def placed(state: dict[str, Tensor], network: FactorisedUNet) -> tuple[dict[str, Tensor], MatchReport]:
    """A published state dict under our keys, and what became of every tensor."""
    key_map = KeyMap(unet_names(len(network.down)), dropped=CONSTANTS)
    return match(state, network.state_dict(), key_map, where="published")


def condition(embedding: Tensor) -> Condition:
    """The embedding alone, which is all that the published network is told."""
    batch = len(embedding)
    return Condition(embedding, torch.zeros(batch, 0, 1), torch.zeros(batch, 0, 1, 1))


@pytest.fixture(scope="module")
def small(shared: Path) -> FactorisedUNet:
    return filled(shared, "unet3d_small")


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Tensor]:
    return golden(shared, "unet3d_small")


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_the_prediction_is_the_published_one(shared: Path, name: str) -> None:
    given = golden(shared, name)
    found = filled(shared, name)(condition(given["cond"]), given["x"], given["t"])
    assert_close(found, given["y"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_dropped_condition_is_the_published_null(small: FactorisedUNet, expected: dict[str, Tensor]) -> None:
    found = small(condition(expected["cond"]), expected["x"], expected["t"], torch.tensor([True, True]))
    assert_close(found, expected["y_null"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_guidance_of_two_is_the_published_one(small: FactorisedUNet, expected: dict[str, Tensor]) -> None:
    given = condition(expected["cond"]), expected["x"], expected["t"]
    null = small(*given, torch.tensor([True, True]))
    assert_close(null + 2 * (small(*given) - null), expected["y_scale2"], rtol=0, atol=2e-5)


@pytest.mark.parametrize(("focus", "name"), [([True, True], "y_focus_all"), ([True, False], "y_focus_mix")])
@torch.no_grad()
def test_frames_that_do_not_see_each_other_are_as_published(
    small: FactorisedUNet, expected: dict[str, Tensor], focus: list[bool], name: str
) -> None:
    found = small(condition(expected["cond"]), expected["x"], expected["t"], focus=torch.tensor(focus))
    assert_close(found, expected[name], rtol=0, atol=1e-5)


@torch.no_grad()
def test_every_step_of_the_first_level_is_the_published_one(small: FactorisedUNet, expected: dict[str, Tensor]) -> None:
    found: dict[str, Tensor] = {}
    first = small.down[0]
    parts = {
        "temb": small.time_embedding,
        "rel_bias": small.relative_bias,
        "h_init": small.stem,
        "h_init_tattn": small.stem_attention,
        "d_block1": first.block1,
        "d_block2": first.block2,
        "d_spatial": first.pixels,
        "d_temporal": first.frames,
        "d_down": first.step,
    }
    hooks = [
        part.register_forward_hook(lambda _module, _inputs, output, name=name: found.update({name: output}))
        for name, part in parts.items()
    ]
    small(condition(expected["cond"]), expected["x"], expected["t"])
    for hook in hooks:
        hook.remove()
    for name, output in found.items():
        wanted = expected[name]  # of the first sample alone behind the stem
        assert_close(output[: len(wanted)], wanted, rtol=0, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    assert list(found) == ["temb", "rel_bias", *list(parts)[2:]]


def test_distances_fall_into_the_published_buckets(small: FactorisedUNet, expected: dict[str, Tensor]) -> None:
    assert torch.equal(small.relative_bias.bucket(40), expected["bucket40"])


@pytest.mark.parametrize(("name", "levels", "constants"), [("unet3d_readme", 4, 10), ("unet3d_small", 3, 8)])
def test_every_published_tensor_has_its_place(shared: Path, name: str, levels: int, constants: int) -> None:
    network = weightless(name)
    _, report = placed({key: torch.zeros(shape) for key, shape, _ in published_keys(shared, name)}, network)
    assert set(report.loaded.values()) == set(network.state_dict())
    assert (len(network.down), len(report.dropped)) == (levels, constants)
    assert not report.zeroed


def test_the_network_of_the_readme_has_as_many_weights_as_published() -> None:
    """12,007,252 with the 16 angles of rotary positions, which are counted once and learnt nowhere."""
    weights = sum(parameter.numel() for parameter in weightless("unet3d_readme").parameters())
    assert weights == 12_007_252 - 16
