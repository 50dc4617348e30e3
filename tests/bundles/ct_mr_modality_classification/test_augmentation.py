"""Random views are views of the slice, in range, and a function of the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from modality_bundle.augmentation import Augmentation, noise_image
from modality_bundle.pictures import AsPictured, pictured
from torch import Tensor

from transmodal.phantom import Thigh, make_case

WINDOWS = {"soft tissue": [-160, 240], "lung": [-1350, 150]}


@pytest.fixture(scope="module")
def slices() -> dict[str, Tensor]:
    images = make_case(Thigh(), seed=5, shape=(48, 56, 4))
    return {name: images[name].as_tensor()[0, :, :, 2].float() for name in ("ct", "mr")}


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_every_view_is_finite_and_shows_something(slices: dict[str, Tensor], modality: str) -> None:
    augmentation = Augmentation(WINDOWS)
    for seed in range(60):
        view = augmentation(slices[modality], modality == "ct", np.random.default_rng(seed))
        assert bool(torch.isfinite(view).all())
        assert float(view.std()) > 0.005


def test_a_seed_gives_one_view_and_another_seed_another(slices: dict[str, Tensor]) -> None:
    first, again, other = (Augmentation(WINDOWS)(slices["mr"], False, np.random.default_rng(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_views_of_ct_come_in_windows_and_whole(slices: dict[str, Tensor]) -> None:
    augmentation = Augmentation(WINDOWS)
    ranges = [augmentation._range(slices["ct"], True, np.random.default_rng(seed)) for seed in range(60)]
    narrow = sum(high - low < 700 for low, high in ranges)
    wide = sum(high - low > 1300 for low, high in ranges)
    assert min(narrow, wide) > 10


def test_a_ct_that_is_a_picture_already_is_not_windowed(slices: dict[str, Tensor]) -> None:
    picture = pictured(slices["ct"], -160, 240)
    for seed in range(20):
        low, high = Augmentation(WINDOWS)._range(picture, True, np.random.default_rng(seed))
        assert low == 0
        assert 100 < high <= 255


def test_noise_fills_its_range() -> None:
    images = [noise_image(32, np.random.default_rng(seed)) for seed in range(10)]
    assert all((float(image.min()), float(image.max())) == (0.0, 1.0) for image in images)


def test_a_picture_has_the_grey_values_of_its_window() -> None:
    image = torch.tensor([[-1000.0, -160.0, 40.0, 240.0, 3000.0]])
    assert pictured(image, -160, 240).tolist() == [[0, 0, 128, 255, 255]]


def test_only_samples_with_a_window_become_pictures() -> None:
    image = torch.tensor([[-160.0, 240.0]])
    transform = AsPictured("image")
    assert transform({"image": image, "window": [-160.0, 240.0]})["image"].tolist() == [[0, 255]]
    assert transform({"image": image, "window": []})["image"] is image
    assert transform({"image": image})["image"] is image
