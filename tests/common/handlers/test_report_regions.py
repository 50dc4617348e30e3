"""The evaluation report on regions and on sources of several contrasts."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.common.handlers.evaluation import evaluate, paired, spot
from transmodal.errors import InputError
from transmodal.handlers import EvaluationReport
from transmodal.metrics import Identity, LookUpTable, MatchedCopy, SynthRAD2023, Uniform
from transmodal.transforms import HounsfieldWindow, RobustPercentiles

INTENSITY = {"ct": HounsfieldWindow(), "mr": RobustPercentiles(), "t2": RobustPercentiles()}


def report(output_dir: Path, **arguments: Any) -> EvaluationReport:
    defaults = {"similarity": SynthRAD2023(), "source": "mr", "target": "ct", "intensity": INTENSITY}
    return EvaluationReport(output_dir, **{**defaults, **arguments})


def summary(output_dir: Path) -> dict[str, Any]:
    return json.loads((output_dir / "summary.json").read_text())


def table(output_dir: Path) -> list[dict[str, str]]:
    with (output_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def lesioned(name: str, error: float = 20.0) -> dict[str, Any]:
    """A case whose prediction is 100 HU further off inside its lesion."""
    case = paired(name, error)
    case["lesion"] = spot()
    case["image"] = case["image"] + 100 * case["lesion"]
    return case


def contrasts(name: str) -> dict[str, Any]:
    """A case whose source is noise and the contrast from which its target is made."""
    case = paired(name)
    case["source"] = torch.cat([torch.rand_like(case["source"]) * 500, case["source"]])
    return case


REGIONS = {"lesion": "lesion"}


def test_columns_of_regions_come_last_and_for_every_method(tmp_path: Path) -> None:
    evaluate([lesioned("a")], [report(tmp_path, regions=REGIONS, baselines=[Uniform()])])
    model, baseline = table(tmp_path)
    assert list(model)[-3:] == ["lesion_mae", "lesion_psnr", "lesion_ssim"]
    assert float(model["lesion_mae"]) == pytest.approx(120, abs=1e-3)
    assert float(model["mae"]) < 25
    assert float(baseline["lesion_mae"]) > 0


def test_region_is_scored_as_its_protocol_scores_a_mask(tmp_path: Path) -> None:
    case = lesioned("a")
    evaluate([case], [report(tmp_path, regions=REGIONS)])
    expected = SynthRAD2023()(case["image"], case["label"], case["lesion"])
    found = table(tmp_path)[0]
    assert {name: float(found[f"lesion_{name}"]) for name in expected} == pytest.approx(expected)


def test_summary_has_statistics_and_voxels_of_each_region(tmp_path: Path) -> None:
    evaluate([lesioned("a", 10), lesioned("b", 30)], [report(tmp_path, regions=REGIONS, baselines=[Uniform()])])
    found = summary(tmp_path)["regions"]["lesion"]
    assert (found["cases"], found["voxels"], found["not_scored"]) == (2, {"a": 48, "b": 48}, {})
    assert list(found["methods"]) == ["model", "all-water"]
    assert found["methods"]["model"]["mae"]["mean"] == pytest.approx(120, abs=1e-3)


def test_case_without_the_region_is_no_error_and_says_why(tmp_path: Path) -> None:
    empty = lesioned("c")
    empty["lesion"] = 0 * empty["lesion"]
    evaluate([lesioned("a"), paired("b"), empty], [report(tmp_path, regions=REGIONS)], batch_size=1)
    found = summary(tmp_path)
    assert found["regions"]["lesion"]["cases"] == 1
    assert found["regions"]["lesion"]["not_scored"] == {"b": "the case has no mask of it", "c": "its mask is empty"}
    assert found["methods"]["model"]["mae"]["n"] == 3
    assert table(tmp_path)[1]["lesion_mae"] == ""


def test_region_that_no_case_has_is_reported_as_undefined(tmp_path: Path) -> None:
    evaluate([paired("a")], [report(tmp_path, regions=REGIONS)])
    assert summary(tmp_path)["regions"]["lesion"]["methods"]["model"]["mae"]["n"] == 0


def test_region_of_a_broken_case_is_not_scored_either(tmp_path: Path) -> None:
    broken = lesioned("a")
    broken["image"][0, 3, 9, 4] = torch.nan  # in the body, not in the lesion
    evaluate([broken], [report(tmp_path, regions=REGIONS)])
    assert "no finite value" in summary(tmp_path)["regions"]["lesion"]["not_scored"]["a"]
    assert table(tmp_path)[0]["lesion_mae"] == ""


def test_region_on_another_grid_is_refused(tmp_path: Path) -> None:
    case = lesioned("a")
    case["lesion"] = case["lesion"][..., 1:]
    with pytest.raises(InputError, match="region lesion"):
        evaluate([case], [report(tmp_path, regions=REGIONS)])


def test_figure_shows_the_region(tmp_path: Path) -> None:
    handler = report(tmp_path, regions=REGIONS)
    evaluate([lesioned("a")], [handler])
    (view,) = handler._findings.views
    assert view.regions[0].sum() == 16


def test_table_of_a_region_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="transmodal")
    evaluate([lesioned("a")], [report(tmp_path, regions=REGIONS, baselines=[Uniform()])])
    lines = caplog.text.splitlines()
    start = lines.index("inside the lesion, 1 case(s)")
    assert lines[start + 2].split()[:2] == ["model", "120.0"]


def test_without_regions_nothing_is_said_of_them(tmp_path: Path) -> None:
    evaluate([lesioned("a")], [report(tmp_path)])
    assert summary(tmp_path)["regions"] == {}
    assert not any("lesion" in column for column in table(tmp_path)[0])


def test_baselines_get_every_channel_and_the_copied_one_is_named(tmp_path: Path) -> None:
    copy = MatchedCopy(outside=-1000, channels=["t2", "mr"])
    baselines = [copy, LookUpTable(), Identity(INTENSITY["ct"])]
    arguments = {"source": ["t2", "mr"], "baselines": baselines, "fitting_data": [contrasts("training")]}
    evaluate([contrasts("a")], [report(tmp_path, **arguments)])
    found = summary(tmp_path)
    assert found["baselines"]["matched copy"]["copies"] == "mr"
    assert found["baselines"]["matched copy"]["correlations"]["mr"] < -0.9
    methods = found["methods"]
    assert methods["matched copy"]["mae"]["mean"] < 0.5 * methods["look-up table"]["mae"]["mean"]
    assert found["title"] == "t2, mr to ct"


def test_every_channel_has_its_own_scale(tmp_path: Path) -> None:
    windows = {**INTENSITY, "t2": HounsfieldWindow(0, 500), "mr": HounsfieldWindow(0, 2000)}
    seen = []

    class Watching(Uniform):
        def predict(self, source: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            seen.append(source)
            return super().predict(source, mask)

    case = contrasts("a")
    evaluate([case], [report(tmp_path, source=["t2", "mr"], intensity=windows, baselines=[Watching()])])
    expected = torch.cat([windows[name].scale(case["source"][i : i + 1], None) for i, name in enumerate(("t2", "mr"))])
    torch.testing.assert_close(seen[0], expected.as_tensor())


def test_other_channels_than_the_source_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found 2 channel\(s\); wanted 3: mr, t2, mr"):
        evaluate([contrasts("a")], [report(tmp_path, source=["mr", "t2", "mr"])])
