"""The segmenter: what decides its weights, when it is trained again, and on which slices."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from downstream.data import Record, read_subject
from downstream.training import Recipe, Segmenter, _loader, trained_segmenter
from tests.tools.downstream.brains import CONTRASTS, change
from transmodal.errors import InputError

RECIPE = Recipe(target="flair", sources=("t1", "t2"), pixdim=(-1.0, -1.0, -1.0), epochs=1, features=(4, 4, 8, 8, 8, 4))
Train = Callable[..., Segmenter]


@pytest.fixture
def training(records: tuple[list[Record], list[Record]]) -> list[Record]:
    return records[0]


@pytest.fixture
def train(training: list[Record], tmp_path: Path) -> Train:
    def train(name: str = "segmenter.pt", **changes: Any) -> Segmenter:
        return trained_segmenter(replace(RECIPE, **changes), training, tmp_path / name, "cpu")

    return train


def weights(segmenter: Segmenter) -> torch.Tensor:
    return torch.cat([value.flatten() for value in segmenter.network.state_dict().values()])


def test_equal_seeds_give_equal_weights_whatever_was_drawn_before(train: Train) -> None:
    first = weights(train("a.pt"))
    torch.rand(3)
    assert torch.equal(first, weights(train("b.pt")))
    assert not torch.equal(first, weights(train("c.pt", seed=1)))


def test_training_leaves_the_callers_random_numbers_alone(train: Train) -> None:
    before = torch.random.get_rng_state()
    train()
    assert torch.equal(before, torch.random.get_rng_state())


def test_it_learns_what_the_masks_show(train: Train, training: list[Record]) -> None:
    for record in training:  # the bright tenth of the flair, which is quicker to learn than a tumour
        change(Path(record["flair"]), Path(record["lesion"]), lambda values: values > np.percentile(values, 90))
    subject = read_subject(training[0], CONTRASTS, {}, "flair")
    images = torch.cat([subject.contrasts[name].as_tensor() for name in CONTRASTS]).permute(3, 0, 1, 2)
    lesion = subject.lesion.permute(3, 0, 1, 2)
    margins = []
    for epochs in (1, 15):
        logits = train(epochs=epochs, batch_size=2, learning_rate=1e-2).network(images).detach()
        margins.append(float(logits[lesion].mean() - logits[~lesion].mean()))
    assert margins[1] > margins[0] + 1


def test_the_same_recipe_and_cases_take_the_kept_segmenter_again(train: Train) -> None:
    first, second = train(), train()
    assert (first.reused, second.reused) == (False, True)
    assert torch.equal(weights(first), weights(second))
    assert first.target_mean == second.target_mean


def test_another_recipe_trains_again(train: Train) -> None:
    train()
    assert not train(epochs=2).reused


def test_changed_images_train_again(train: Train, training: list[Record]) -> None:
    train()
    os.utime(training[0]["t1"], (0, 0))
    assert not train().reused


def test_other_training_cases_train_again(train: Train, training: list[Record]) -> None:
    train()
    training.pop()
    assert not train().reused


def test_a_damaged_segmenter_is_trained_again(train: Train, tmp_path: Path) -> None:
    first = weights(train())
    path = tmp_path / "segmenter.pt"
    path.write_bytes(path.read_bytes()[:1000])
    again = train()
    assert not again.reused
    assert torch.equal(first, weights(again))


def test_the_mean_is_the_scaled_targets_inside_the_body(train: Train, training: list[Record]) -> None:
    subjects = [read_subject(record, CONTRASTS, {}, "flair") for record in training]
    means = [each.contrasts["flair"].as_tensor()[each.body].mean() for each in subjects]
    assert train().target_mean == pytest.approx(float(sum(means)) / 2, abs=1e-6)


def test_masks_without_any_lesion_cannot_train(train: Train, training: list[Record]) -> None:
    for record in training:
        change(Path(record["lesion"]), Path(record["lesion"]), lambda values: 0 * values)
    with pytest.raises(InputError, match="2 training cases: found no lesion in any slice"):
        train()


def test_half_of_the_slices_drawn_show_lesion_however_few_there_are() -> None:
    slices = [{"image": torch.zeros(3, 8, 8).half(), "lesion": torch.zeros(1, 8, 8) > 0} for _ in range(200)]
    slices[7]["lesion"] = torch.ones(1, 8, 8) > 0
    drawn = torch.cat([batch["lesion"].flatten(1).amax(dim=1) for batch in _loader(slices, RECIPE)])
    assert len(drawn) == 200
    assert 0.4 < drawn.mean() < 0.6


def test_slices_of_different_sizes_meet_in_a_batch_padded_with_background() -> None:
    slices = [{"image": torch.ones(3, size, 32), "lesion": torch.ones(1, size, 32) > 0} for size in (32, 40)]
    (batch,) = _loader(slices * 8, replace(RECIPE, batch_size=16))
    assert batch["image"].shape == (16, 3, 40, 32)
    assert batch["lesion"].shape == (16, 1, 40, 32)
    assert batch["image"].min() < -0.7
