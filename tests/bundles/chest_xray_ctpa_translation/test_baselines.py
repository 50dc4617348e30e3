"""CTs that take no network: the mean, and the patient with the nearest radiograph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from xray2ctpa_bundle import baselines
from xray2ctpa_bundle.baselines import MeanCT, NearestPatient
from xray2ctpa_bundle.evaluation import OnGridd

from tests.bundles.chest_xray_ctpa_translation.chests import FIELD_OF_VIEW, GRID, chest
from transmodal.errors import InputError
from transmodal.metrics import FittedBaseline

MASK = torch.ones(1, *GRID)


def case(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Source, target and mask, as the report hands them over."""
    sample = OnGridd(field_of_view=FIELD_OF_VIEW)(chest("a", number))
    return sample["source"], sample["label"], sample["mask"]


@pytest.mark.parametrize("baseline", [MeanCT(), NearestPatient()])
def test_the_report_takes_them_for_baselines_to_fit(baseline: FittedBaseline) -> None:
    assert isinstance(baseline, FittedBaseline)
    assert not baseline.fitted
    baseline.fit(*case(1))
    assert baseline.fitted


def test_the_mean_is_that_of_all_training_cts_voxel_by_voxel() -> None:
    mean = MeanCT()
    for number in (1, 2, 3):
        mean.fit(*case(number))
    expected = torch.stack([case(number)[1] for number in (1, 2, 3)]).mean(dim=0)
    torch.testing.assert_close(mean.predict(case(9)[0], MASK), torch.as_tensor(expected), atol=1e-3, rtol=0)


def test_the_mean_of_half_millions_keeps_its_digits() -> None:
    mean, volume = MeanCT(), torch.full((1, *GRID), 1000.5)
    for _ in range(5000):
        mean.fit(volume, volume, MASK)
    assert float(mean.predict(volume, MASK).max()) == pytest.approx(1000.5, abs=1e-4)


def fitted(numbers: range) -> NearestPatient:
    nearest = NearestPatient(size=(8, 8))
    for number in numbers:
        nearest.fit(*case(number))
    return nearest


def test_a_radiograph_with_noise_finds_its_own_patient() -> None:
    nearest = fitted(range(6))
    for number in range(6):
        source, target, mask = case(number)
        noise = 0.02 * torch.randn(source.shape, generator=torch.Generator().manual_seed(number))
        assert nearest.nearest(0.5 * source + noise) == number
        torch.testing.assert_close(nearest.predict(0.5 * source + noise, mask), torch.as_tensor(target).round())


def test_what_all_chests_have_in_common_does_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    patterns = torch.linalg.qr(torch.cat([torch.ones(64, 1), torch.randn(64, 3, generator=generator)], dim=1)).Q
    common, first, second = patterns[:, 1:].T.reshape(3, 1, 8, 1, 8)
    nearest, mask = NearestPatient(size=(8, 8)), torch.ones(1, 8, 1, 8)
    for radiograph in (common + 0.3 * first, common + 0.3 * second, common):
        nearest.fit(radiograph, radiograph, mask)
    # by plain correlation the last one would be nearer: an angle of 0.14 against 0.16
    assert nearest.nearest(common + 0.14 * first) == 0


def test_the_very_same_radiograph_is_passed_over() -> None:
    assert fitted(range(4)).nearest(case(2)[0]) != 2


def test_without_another_patient_there_is_none_to_find() -> None:
    with pytest.raises(InputError, match="found no training radiograph but that of the case itself"):
        fitted(range(2, 3)).predict(case(2)[0], MASK)


def test_training_cts_come_back_from_a_file_as_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fitted(range(4)).predict(case(7)[0], MASK)
    monkeypatch.setattr(baselines, "IN_MEMORY", 1000)
    nearest = fitted(range(4))
    assert nearest._volumes._rolled
    assert torch.equal(nearest.predict(case(7)[0], MASK), expected)


@pytest.mark.parametrize("baseline", [MeanCT(), NearestPatient()])
def test_another_grid_is_refused(baseline: FittedBaseline) -> None:
    baseline.fit(*case(1))
    other = torch.zeros(1, 8, 16, 12)
    with pytest.raises(InputError, match=r"found a volume of \(8, 16, 12\) voxels; wanted the \(8, 16, 16\) voxels"):
        baseline.fit(other, other, other)
    with pytest.raises(InputError, match="bring all cases to one grid"):
        baseline.predict(other, other)
