"""Hounsfield units are recognised, with any padding; nothing else is."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from transmodal.modality import from_hounsfield, may_be_hounsfield
from transmodal.phantom import Chest, Head, Thigh, make_case


@pytest.fixture(scope="session")
def phantom() -> dict[str, Tensor]:
    images = make_case(Thigh(), seed=1, shape=(64, 64, 8))
    return {name: image.as_tensor().float() for name, image in images.items()}


@pytest.mark.parametrize("region", [Thigh(), Head(), Chest()], ids=lambda region: type(region).__name__)
def test_ct_of_any_region_is_told_by_its_values(region: object) -> None:
    verdict = from_hounsfield(make_case(region, seed=2, shape=(48, 48, 12), modalities=["ct"])["ct"])  # type: ignore[arg-type]
    assert (verdict.modality, verdict.by) == ("ct", "hounsfield"), verdict.reason


@pytest.mark.parametrize("padding", [-1024, -2000, -3024])
def test_padding_outside_the_field_of_view_does_not_matter(phantom: dict[str, Tensor], padding: int) -> None:
    image = phantom["ct"].clone()
    image[:, :20] = padding
    assert from_hounsfield(image).modality == "ct"


def test_other_images_of_the_same_anatomy_are_not_called_ct(phantom: dict[str, Tensor]) -> None:
    mr = phantom["mr"].round()
    scaled = (mr - mr.min()) / (mr.max() - mr.min())
    images = {
        "magnitude": mr,
        "z-scored": (mr - mr.mean()) / mr.std(),
        "signed, mean removed": (mr - mr.mean()).round(),
        "stored with an offset of -1024": (mr - 1024).round(),
        "stretched from -1000 to 1000": (2000 * scaled - 1000).round(),
        "stretched from -1000 to 3000": (4000 * scaled - 1000).round(),
        "CT on 0 to 255": ((phantom["ct"].clamp(-160, 240) + 160) / 400 * 255).round(),
        "CT in [-1, 1]": (phantom["ct"].clamp(-1000, 2000) + 1000) / 1500 - 1,
        "CT with its offset": phantom["ct"] + 1024,
    }
    called = {name: from_hounsfield(image).modality for name, image in images.items()}
    assert called == dict.fromkeys(images)


def test_a_resampled_ct_with_fractions_is_told(phantom: dict[str, Tensor]) -> None:
    noise = torch.rand(phantom["ct"].shape, generator=torch.Generator().manual_seed(0))
    assert from_hounsfield(phantom["ct"] + noise - 0.5).modality == "ct"


def test_signed_mr_with_fractions_is_not_called_ct(phantom: dict[str, Tensor]) -> None:
    mr = phantom["mr"]
    for image in (mr - mr.mean(), mr - 1024.3, 4000 * mr / mr.max() - 1000):
        assert from_hounsfield(image).modality is None


@pytest.mark.parametrize("region", [Thigh(), Head(), Chest()], ids=lambda region: type(region).__name__)
def test_what_is_said_to_be_ct_may_be_in_hounsfield_units_and_magnitudes_may_not(region: object) -> None:
    images = make_case(region, seed=4, shape=(24, 24, 6))  # type: ignore[arg-type]
    assert may_be_hounsfield(images["ct"])
    assert not may_be_hounsfield(images["mr"])
    assert not may_be_hounsfield(images["ct"].clamp(-160, 240) + 160)


def test_phase_images_are_not_called_ct() -> None:
    generator = torch.Generator().manual_seed(0)
    phase = torch.randint(-4096, 4096, (1, 64, 64, 4), generator=generator)
    assert from_hounsfield(phase).modality is None
    assert from_hounsfield(phase // 4).modality is None


def test_noise_around_zero_is_not_called_ct() -> None:
    noise = torch.randn((1, 64, 64, 4), generator=torch.Generator().manual_seed(0)) * 300
    assert from_hounsfield(noise.round()).modality is None


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -1e6])
def test_impossible_values_are_no_evidence(phantom: dict[str, Tensor], value: float) -> None:
    image = phantom["ct"].clone()
    image[..., ::2] = value
    verdict = from_hounsfield(image)
    assert (verdict.modality, verdict.by) == (None, "nothing")


def test_the_reason_says_what_is_missing(phantom: dict[str, Tensor]) -> None:
    assert "none is below" in from_hounsfield(phantom["mr"]).reason


def test_integers_of_any_type_are_taken(phantom: dict[str, Tensor]) -> None:
    assert from_hounsfield(phantom["ct"].to(torch.int16)).modality == "ct"


def test_real_images_are_told(shared: Path) -> None:
    chest = shared / "data" / "chest_ct" / "chest_ct_cropped_1p5mm.nii.gz"
    brain = shared / "data" / "brain_multicontrast" / "patient07"
    files = {chest: "ct", **{brain / f"{name}.nii.gz": None for name in ("t1", "t1ce", "t2", "flair")}}
    for file, modality in files.items():
        values = torch.from_numpy(np.asarray(nib.load(file).dataobj, dtype=np.float32))  # type: ignore[attr-defined]
        assert from_hounsfield(values).modality == modality, file
