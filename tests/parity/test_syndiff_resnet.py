"""SynDiff's non-diffusive generator against the published one: the six-block ``ResNetGenerator``, one channel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tests.parity.fill import fill_keys, image
from transmodal.checkpoints import KeyMap, match
from transmodal.networks.nets import ResNetGenerator
from transmodal.published import resnet_generator_names

KEY_MAP = KeyMap(resnet_generator_names(num_blocks=6))


def published(shared: Path, name: str, channels: int) -> ResNetGenerator:
    keys = json.loads((shared / "goldens/syndiff" / f"{name}_keys.json").read_text())
    network = ResNetGenerator(channels=channels, num_blocks=6)
    network.load_state_dict(match(fill_keys(keys), network.state_dict(), KEY_MAP, where=name)[0])
    return network.eval()


@pytest.mark.parametrize("size", ["64x64", "64x80"])
@torch.no_grad()
def test_the_generator_translates_as_published(shared: Path, size: str) -> None:
    expected = np.load(shared / "goldens/syndiff" / f"resnet_gen_small_{size}_golden.npz")
    translated = published(shared, "resnet_gen_small", channels=8)(torch.from_numpy(expected["x"]))
    assert_close(translated, torch.from_numpy(expected["y"]), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_generator_of_full_width_translates_as_published(shared: Path) -> None:
    expected = np.load(shared / "goldens/syndiff/resnet_gen_ngf64_golden.npz")
    translated = published(shared, "resnet_gen_ngf64", channels=64)(image(1017, (1, 1, 256, 256)))
    assert_close(translated[:, :, ::4, ::4], torch.from_numpy(expected["y_sub"]), rtol=0, atol=1e-5)
    assert_close(translated.mean().item(), float(expected["y_mean"]), rtol=0, atol=1e-5)
    assert_close(translated.std().item(), float(expected["y_std"]), rtol=0, atol=1e-5)
