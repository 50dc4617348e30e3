"""Training views: functions of their index, and of the right size, place and kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from embolism_bundle.augmentation import Augmentation
from embolism_bundle.images import LabelledImages

from transmodal.errors import InputError

DATA = [{"case": name, "image": number, "label": number % 2} for number, name in enumerate("abc")]
NOTHING = {"shift": 0.0, "flip": 0.0, "contrast": 0.0, "noise": 0.0}


def read(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "image": torch.full((1, 4, 6, 8), float(record["image"]))}


def view(draw: int = 0, **changes: float) -> torch.Tensor:
    image = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    return Augmentation(**{**NOTHING, **changes})(image, np.random.default_rng(draw))


def test_an_item_has_the_image_and_the_finding_as_a_number() -> None:
    item = LabelledImages(DATA, read)[1, 0]
    assert float(item["image"].mean()) == 1.0
    assert item["label"].tolist() == [1.0]


def test_the_same_index_is_the_same_view_and_another_seed_another() -> None:
    images = LabelledImages(DATA, read, Augmentation())
    assert torch.equal(images[2, 5]["image"], images[2, 5]["image"])
    assert not torch.equal(images[2, 5]["image"], images[2, 6]["image"])


def test_an_epoch_may_show_each_case_several_times() -> None:
    images = LabelledImages(DATA, read, draws_per_case=2)
    assert [float(images[number, 0]["image"].mean()) for number in range(len(images))] == [0, 1, 2, 0, 1, 2]


def test_images_that_are_not_kept_are_read_again() -> None:
    count: list[Any] = []
    images = LabelledImages(DATA, lambda record: count.append(record) or read(record), cache_num=0)
    assert [float(images[0, 0]["image"].mean()) for _ in range(2)] == [0.0, 0.0]
    assert len(count) == 2


@pytest.mark.parametrize("draws", [0, 1.5, "2", True])
def test_a_number_of_draws_that_is_none_is_refused(draws: object) -> None:
    with pytest.raises(InputError, match="'draws_per_case'"):
        LabelledImages(DATA, read, draws_per_case=draws)  # type: ignore[arg-type]


def test_without_any_change_a_view_is_the_image() -> None:
    assert torch.equal(view(), torch.arange(120, dtype=torch.float32).reshape(2, 3, 4, 5))


def test_a_shift_moves_all_channels_alike_and_repeats_the_border() -> None:
    image, moved = view(), view(draw=3, shift=0.5)
    assert not torch.equal(moved, image)
    assert torch.equal(moved[1] - moved[0], torch.full((3, 4, 5), 60.0))
    assert set(moved.unique().tolist()) < set(image.unique().tolist())


def test_a_flip_exchanges_left_and_right_alone() -> None:
    assert torch.equal(view(flip=1.0), view().flip(-1))


def test_contrast_and_noise_stay_in_their_bounds() -> None:
    ones = torch.ones(1, 20, 20)
    for draw in range(20):
        changed = Augmentation(**{**NOTHING, "contrast": 0.1})(ones, np.random.default_rng(draw))
        assert 0.85 <= float(changed.min()) == float(changed.max()) <= 1.15
        noisy = Augmentation(**{**NOTHING, "noise": 0.05})(ones, np.random.default_rng(draw))
        assert 0 < float(noisy.std()) < 0.06


@pytest.mark.parametrize(("name", "share"), [("shift", 0.6), ("flip", 1.1), ("contrast", -0.1), ("noise", "0.1")])
def test_a_change_beyond_its_bounds_is_refused(name: str, share: object) -> None:
    with pytest.raises(InputError, match=f"Augmentation, {name}: found"):
        Augmentation(**{name: share})  # type: ignore[arg-type]
