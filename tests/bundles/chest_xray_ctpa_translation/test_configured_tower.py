"""Configs with BiomedCLIP as the encoder of radiographs, and what a run may change of what weights were made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn
from xray2ctpa_bundle.encoders import PairedEncoder
from xray2ctpa_bundle.vit import BiomedCLIP

from tests.bundles.chest_xray_ctpa_translation.published_files import published_tower
from tests.bundles.chest_xray_ctpa_translation.test_overlays import BUNDLE, ROW, config, train, translate
from tests.bundles.conftest import Trained
from tests.bundles.tiny import importable
from transmodal.checkpoints import save_weights
from transmodal.errors import InputError

TOWER = {"image_size": 32, "width": 64, "depth": 1, "heads": 1, "embedding_dim": 8}
EITHER = pytest.mark.parametrize("swapped", [False, True], ids=["before", "after"])


@pytest.fixture(scope="module")
def trained(train_once: Callable[[Path], Trained]) -> Trained:
    return train_once(BUNDLE)


@pytest.fixture
def tower(tmp_path: Path) -> Path:
    """A small tower under published keys."""
    state = {f"visual.{key}": value for key, value in published_tower(BiomedCLIP(**TOWER)).items()}
    save_weights(state, tmp_path / "tower.pt")
    return tmp_path / "tower.pt"


def parser(*configs: str, **ids: Any) -> ConfigParser:
    read = ConfigParser()
    read.read_config([str(BUNDLE / "configs" / f"{name}.json") for name in configs])
    read.update({"bundle_root": str(BUNDLE), "device": "cpu", **ids})
    return read


def network(*configs: str, **ids: Any) -> nn.Module:
    with importable(BUNDLE), torch.device("meta"):  # shapes alone
        made: nn.Module = parser(*configs, **ids).get_parsed_content("network_def")
    return made


def innermost(error: BaseException) -> BaseException:
    """What MONAI raises around."""
    while error.__cause__ is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def small_tower(name: str) -> dict[str, Any]:
    return {f"{name}#{key}": value for key, value in TOWER.items()}


@EITHER
@pytest.mark.parametrize("base", ["train", "inference"])
@pytest.mark.parametrize("sizes", ["modern", "small"])
def test_a_denoiser_that_takes_a_plane_gets_it_beside_the_tower(sizes: str, base: str, swapped: bool) -> None:
    overlays = [sizes, "biomedclip"]
    encoder = network(base, *(reversed(overlays) if swapped else overlays)).encoder
    assert isinstance(encoder, PairedEncoder)
    assert isinstance(encoder.semantic, BiomedCLIP)
    assert not any(parameter.requires_grad for parameter in encoder.semantic.parameters())
    assert all(parameter.requires_grad for parameter in encoder.spatial.parameters())


def test_the_published_denoiser_gets_the_tower_alone() -> None:
    assert isinstance(network("train", "biomedclip").encoder, BiomedCLIP)


@EITHER
def test_the_published_method_trains_the_tower_whatever_is_given_beside_it(swapped: bool) -> None:
    overlays = ["legacy", "biomedclip"]
    encoder = network("train", *(reversed(overlays) if swapped else overlays)).encoder
    assert isinstance(encoder, BiomedCLIP)
    assert not encoder.frozen


def test_the_published_method_may_freeze_the_tower() -> None:
    assert network("train", "legacy", freeze_tower=True).encoder.frozen


def legacy_ids(tower: Path) -> dict[str, Any]:
    return {"grey": None, "tower_path": str(tower), **small_tower("encoder_def")}


def test_the_published_method_goes_on_from_the_published_tower(trained: Trained, tower: Path, tmp_path: Path) -> None:
    with importable(BUNDLE):
        pretrained = parser("train", "legacy", **ROW.network, **trained.made, **legacy_ids(tower)).get_parsed_content(
            "network"
        )
    published = torch.load(tower, weights_only=True)["visual.trunk.norm.weight"]
    assert torch.equal(pretrained.encoder.trunk.norm.weight, published)
    weights = train(trained, tmp_path / "legacy", "legacy", **legacy_ids(tower))
    moved = (weights["encoder.trunk.norm.weight"] - published).abs().max()
    assert 0 < moved < 0.5


def test_the_published_method_does_not_train_a_tower_of_random_weights(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as refused:
        train(trained, tmp_path, "legacy", **legacy_ids(tmp_path / "none.bin"))
    assert "none.bin: found no such file" in str(innermost(refused.value))


def test_a_frozen_tower_and_a_plane_are_trained_with_and_translate(
    trained: Trained, tower: Path, tmp_path: Path
) -> None:
    ids: dict[str, Any] = {
        "denoiser_net_def#num_channels": [8, 8],
        "denoiser_net_def#num_head_channels": 4,
        "denoiser_net_def#attention": [False, True],
        "plane_channels": 2,
        "tower_path": str(tower),
        **small_tower("tower_def"),
    }
    weights = train(trained, tmp_path / "out", "small", "biomedclip", **ids)
    published = torch.load(tower, weights_only=True)
    assert torch.equal(weights["encoder.semantic.trunk.norm.weight"], published["visual.trunk.norm.weight"])
    ct = translate(trained, tmp_path / "out" / "model.pt", tmp_path / "ct", "biomedclip", "small", **ids)
    assert ct.shape == ROW.grid


@pytest.mark.parametrize(
    "other", [{"window": [-200, 500]}, {"field_of_view": [320, 350, 350]}, {"equalise": False}], ids=str
)
def test_inference_refuses_weights_that_were_trained_for_something_else(
    trained: Trained, tmp_path: Path, other: dict[str, Any]
) -> None:
    with pytest.raises(RuntimeError) as refused:
        translate(trained, trained.weights, tmp_path, **other)
    assert "found a network for xray to ct, HU -1000 600, mm 320 384 384" in str(innermost(refused.value))


@pytest.fixture
def negative(trained: Trained, tmp_path: Path) -> Iterator[Path]:
    """A radiograph of a phantom with its greys turned over."""
    image = nib.load(next(iter(sorted(trained.data.glob("*/xray.nii.gz")))))
    values = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(values.max() + values.min() - values, image.affine), tmp_path / "xray.nii.gz")
    return tmp_path / "xray.nii.gz"


@pytest.mark.parametrize("base", ["train", "inference"])
def test_a_negative_is_turned_over_where_that_is_asked_for(base: str, negative: Path, trained: Trained) -> None:
    record = {"image": str(negative), "case": "negative"}
    with importable(BUNDLE):
        refusing, turning = (
            parser(base, invert=invert).get_parsed_content("preprocessing") for invert in (False, True)
        )
    with pytest.raises(RuntimeError) as refused:
        refusing(dict(record))
    assert "invert true" in str(innermost(refused.value))
    original = {"image": str(sorted(trained.data.glob("*/xray.nii.gz"))[0]), "case": "original"}
    difference = turning(record)["image"] - refusing(original)["image"]
    assert difference.abs().mean() < 0.01


def test_the_overlay_of_the_tower_and_those_of_denoisers_replace_nothing_of_each_other() -> None:
    sizes = {key for name in ("modern", "small") for key in config(name)}
    assert sizes & set(config("biomedclip")) == {"_desc_"}
