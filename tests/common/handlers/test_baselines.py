"""Baselines of a report: channels on their scales, fitting, and what is told of those that cannot be fitted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.common.handlers.evaluation import paired
from transmodal.errors import InputError
from transmodal.handlers.baselines import SourceChannels, copied_channels, fit_baselines
from transmodal.metrics import BodyMean, LookUpTable, MatchedCopy, SynthRAD2023, Uniform
from transmodal.transforms import HounsfieldWindow

INTENSITY = {"t1": HounsfieldWindow(0, 100), "t2": HounsfieldWindow(0, 200)}
SOURCE = torch.full((2, 4, 4, 4), 50.0)


def test_each_channel_is_scaled_by_its_own_modality() -> None:
    scaled = SourceChannels.of(["t1", "t2"], INTENSITY).scaled(SOURCE, SOURCE[:1])
    assert [channel.unique().tolist() for channel in scaled] == [[0.0], [-0.5]]


def test_one_modality_stands_for_every_channel() -> None:
    assert SourceChannels.of("t2", INTENSITY).scaled(SOURCE, SOURCE[:1]).unique().tolist() == [-0.5]


def test_modality_without_a_scale_is_refused() -> None:
    with pytest.raises(InputError, match="no scale for the modality 'flair'"):
        SourceChannels.of(["t1", "flair"], INTENSITY)


def test_other_channels_than_named_are_refused() -> None:
    with pytest.raises(InputError, match=r"found 3 channel\(s\); wanted 2: t1, t2"):
        SourceChannels.of(["t1", "t2"], INTENSITY).scaled(torch.cat([SOURCE, SOURCE[:1]]), SOURCE[:1])


def test_cases_are_taken_one_at_a_time() -> None:
    def cases() -> Iterator[dict[str, object]]:
        for name in "ab":
            yield paired(name)
            assert baseline.count == ("ab".index(name) + 1) * int(paired(name)["mask"].sum())

    baseline = BodyMean()
    assert fit_baselines([baseline, Uniform()], cases(), SourceChannels.of("t1", INTENSITY), SynthRAD2023()) == {}


def test_no_case_is_loaded_for_baselines_that_do_not_learn() -> None:
    def cases() -> Iterator[dict[str, object]]:
        raise AssertionError("loaded")
        yield

    assert fit_baselines([Uniform()], cases(), SourceChannels.of("t1", INTENSITY), SynthRAD2023()) == {}


@pytest.mark.parametrize(
    ("cases", "reason"), [(None, "no training cases were given"), ([{"source": 0}], "no training case has both")]
)
def test_baseline_that_could_not_be_fitted_says_why(cases: object, reason: str) -> None:
    left_out = fit_baselines([LookUpTable(), Uniform()], cases, SourceChannels.of("t1", INTENSITY), SynthRAD2023())
    assert list(left_out) == ["look-up table"]
    assert left_out["look-up table"].startswith(reason)


def test_only_baselines_that_choose_a_channel_tell_it() -> None:
    copy = MatchedCopy(channels=["t1"])
    fit_baselines([copy], [paired("a")], SourceChannels.of(["t1"], INTENSITY), SynthRAD2023())
    assert list(copied_channels([Uniform(), copy])) == ["matched copy"]
    assert copied_channels([copy])["matched copy"]["copies"] == "t1"
