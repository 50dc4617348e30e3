"""The evaluation report on predictions that come with a deviation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.common.handlers.evaluation import evaluate, paired, uncertain
from transmodal.errors import InputError
from transmodal.handlers import EvaluationReport
from transmodal.metrics import SynthRAD2023
from transmodal.transforms import HounsfieldWindow, RobustPercentiles


def report(output_dir: Path, deviation: str | None = None) -> EvaluationReport:
    intensity = {"ct": HounsfieldWindow(), "mr": RobustPercentiles()}
    return EvaluationReport(output_dir, SynthRAD2023(), "mr", "ct", intensity, deviation=deviation)


def test_figure_shows_the_deviation_that_is_named(tmp_path: Path) -> None:
    handler = report(tmp_path, "pred_std")
    evaluate([uncertain("a", 20)], [handler])
    (view,) = handler._findings.views
    assert view.deviation is not None
    assert (view.deviation.min(), view.deviation.max()) == pytest.approx((10, 40), abs=1e-4)


def test_deviation_leaves_the_numbers_as_they_are(tmp_path: Path) -> None:
    for name, key in (("with", "pred_std"), ("without", None)):
        evaluate([uncertain("a", 20)], [report(tmp_path / name, key)])
    for file in ("metrics.csv", "summary.json"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def test_deviation_that_is_not_named_leaves_the_figure_as_it_is(tmp_path: Path) -> None:
    evaluate([uncertain("a", 20)], [report(tmp_path / "present")])
    evaluate([paired("a", 20)], [report(tmp_path / "absent")])
    assert (tmp_path / "present/figure.png").read_bytes() == (tmp_path / "absent/figure.png").read_bytes()


def test_case_without_the_deviation_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)case a: found no key 'pred_std'.*set the report's 'deviation' to null"):
        evaluate([paired("a")], [report(tmp_path, "pred_std")])


def test_deviation_on_another_grid_is_refused(tmp_path: Path) -> None:
    case = uncertain("a", 20)
    case["pred_std"] = case["pred_std"][..., 1:]
    with pytest.raises(InputError, match=r"case a: found other shapes: .*deviation \(20, 18, 8\)"):
        evaluate([case], [report(tmp_path, "pred_std")])
