"""Whether generated CTs explain their radiographs: measures, where they count, and what is written."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from xray2ctpa_bundle.consistency import MEASURES, ConsistencyReport, consistency
from xray2ctpa_bundle.projected import WindowedAttenuation

from transmodal.errors import InputError
from transmodal.phantom import Chest, make_case
from transmodal.projection import ConeBeam, TrilinearProjector
from transmodal.transforms import FieldOfViewd, IntensityWindow, RadiographScale, radiograph_of

PIXELS = 32
PROJECTOR = TrilinearProjector(ConeBeam.covering(384, pixels=PIXELS), step=8.0)
SCALE = IntensityWindow(0, 300)
Row = dict[str, str]


def chest(seed: int) -> MetaTensor:
    image = make_case(Chest(), seed=seed, shape=(32, 32, 24))["ct"].float()
    image.meta["case"] = str(seed)
    return FieldOfViewd("ct", (320, 384, 384), (20, 32, 32))({"ct": image})["ct"]


@pytest.fixture(scope="module")
def chests() -> list[MetaTensor]:
    return [chest(seed) for seed in (1, 3)]


def record(ct: MetaTensor, pred: MetaTensor, **more: Any) -> dict[str, Any]:
    return {"case": ct.meta["case"], "image": SCALE.scale(radiograph_of(ct, PROJECTOR)), "pred": pred, **more}


@pytest.fixture
def reported(tmp_path: Path) -> Callable[..., tuple[list[Row], dict[str, float]]]:
    """Run an evaluator over records; returns the rows of the file and the engine's metrics."""

    def run(*records: dict[str, Any]) -> tuple[list[Row], dict[str, float]]:
        engine = Engine(lambda engine, batch: batch)
        ConsistencyReport(tmp_path, PROJECTOR, SCALE).attach(engine)
        state = engine.run([[record] for record in records])
        with (tmp_path / "consistency.csv").open(newline="") as file:
            return list(csv.DictReader(file)), state.metrics

    return run


def test_the_true_ct_explains_its_radiograph(reported: Callable[..., Any], chests: list[MetaTensor]) -> None:
    rows, _ = reported(record(chests[0], chests[0]))
    assert list(rows[0]) == ["case", *MEASURES]
    assert [float(rows[0][name]) for name in MEASURES] == [pytest.approx(1, abs=1e-4)] * 3


def test_another_patient_explains_it_less(reported: Callable[..., Any], chests: list[MetaTensor]) -> None:
    rows, _ = reported(record(chests[0], chests[1]))
    scores = [float(rows[0][name]) for name in MEASURES]
    assert all(score < 0.97 for score in scores)
    assert scores[0] > 0.5


def test_the_truth_stands_beside_where_there_is_one(reported: Callable[..., Any], chests: list[MetaTensor]) -> None:
    rows, _ = reported(record(chests[0], chests[1], label=chests[0]), record(chests[1], chests[1]))
    assert float(rows[0]["true_ncc"]) == pytest.approx(1, abs=1e-4)
    assert float(rows[0]["ncc"]) < 0.97
    assert rows[1]["true_ncc"] == ""


def test_means_over_cases_are_left_in_the_metrics(reported: Callable[..., Any], chests: list[MetaTensor]) -> None:
    rows, metrics = reported(record(chests[0], chests[1]), record(chests[1], chests[1]))
    assert metrics["drr_ncc"] == pytest.approx(sum(float(row["ncc"]) for row in rows) / 2, abs=1e-5)
    assert {"drr_ssim", "drr_gradient_correlation"} <= metrics.keys()


def test_cases_are_written_by_name_and_only_those_of_the_last_run(tmp_path: Path, chests: list[MetaTensor]) -> None:
    engine = Engine(lambda engine, batch: batch)
    ConsistencyReport(tmp_path, PROJECTOR, SCALE).attach(engine)
    engine.run([[{**record(chests[0], chests[0]), "case": "old"}]])
    engine.run([[record(chests[1], chests[1]), record(chests[0], chests[0])]])
    lines = (tmp_path / "consistency.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["case", "1", "3"]


def test_what_the_volume_does_not_reach_does_not_count(reported: Callable[..., Any], chests: list[MetaTensor]) -> None:
    """Of 384 mm of the picture the volume fills 320; a tenth of the rows above and below is not compared."""
    altered = record(chests[0], chests[0])
    altered["image"] = altered["image"].clone()
    altered["image"][:, :2] = altered["image"][:, -2:] = 1.0
    rows, _ = reported(altered)
    assert [float(rows[0][name]) for name in MEASURES] == [pytest.approx(1, abs=1e-4)] * 3


def emptied(ct: MetaTensor) -> MetaTensor:
    return ct.clone().fill_(-1000)


def test_a_ct_without_any_density_is_told_and_the_rest_compared(tmp_path: Path, chests: list[MetaTensor]) -> None:
    """Percentiles of a black projection have no contrast to scale by."""
    scale = RadiographScale(equalise=True)
    radiograph = scale.scale(radiograph_of(chests[0], PROJECTOR))
    engine = Engine(lambda engine, batch: batch)
    ConsistencyReport(tmp_path, PROJECTOR, scale).attach(engine)
    records = [{"case": case, "image": radiograph, "pred": pred} for case, pred in (("empty", emptied(chests[0])),
                                                                                   ("true", chests[0]))]  # fmt: skip
    metrics = engine.run([records]).metrics
    with (tmp_path / "consistency.csv").open(newline="") as file:
        empty, true = csv.DictReader(file)
    assert empty["ncc"] == empty["gradient_correlation"] == ""
    assert float(true["ncc"]) == pytest.approx(1, abs=1e-4)
    assert metrics["drr_ncc"] == pytest.approx(1, abs=1e-4)


WINDOW = (-200.0, 500.0)


def judged(ct: MetaTensor, pred: MetaTensor, folder: Path, **density: Any) -> Row:
    """The row of a result for the radiograph of ``ct``, the true CT."""
    engine = Engine(lambda engine, batch: batch)
    ConsistencyReport(folder, PROJECTOR, SCALE, **density).attach(engine)
    engine.run([[record(ct, pred, label=ct)]])
    with (folder / "consistency.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def test_in_a_window_the_truth_is_what_a_perfect_result_would_reach(tmp_path: Path, chests: list[MetaTensor]) -> None:
    row = judged(chests[0], chests[0].clone().clamp_(*WINDOW), tmp_path, density=WindowedAttenuation(WINDOW))
    assert [row[name] for name in MEASURES] == [row[f"true_{name}"] for name in MEASURES]


def test_a_perfect_result_in_a_window_without_lungs_scores_higher_where_its_end_stands_for_air(
    tmp_path: Path, chests: list[MetaTensor]
) -> None:
    """Clipped, air and lungs would absorb four fifths of what water does."""
    perfect = chests[0].clone().clamp_(*WINDOW)
    plain, windowed = (
        float(judged(chests[0], perfect, tmp_path, **density)["ncc"])
        for density in ({}, {"density": WindowedAttenuation(WINDOW)})
    )
    assert plain + 0.02 < windowed


def test_a_radiograph_of_another_size_is_refused(chests: list[MetaTensor], tmp_path: Path) -> None:
    engine = Engine(lambda engine, batch: batch)
    ConsistencyReport(tmp_path, PROJECTOR, SCALE).attach(engine)
    small = {**record(chests[0], chests[0]), "image": torch.zeros(1, 8, 8)}
    with pytest.raises(InputError, match=r"case 1: found a radiograph of shape \(1, 8, 8\); wanted \(1, 32, 32\)"):
        engine.run([[small]])


def picture(seed: int = 0) -> torch.Tensor:
    noise = torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 5, stride=1)[0, 0].clamp(-1, 1)


EVERYWHERE = torch.ones(20, 20, dtype=torch.bool)


def test_a_linear_scale_of_the_picture_makes_no_difference() -> None:
    found, scaled = (consistency(image, picture(), EVERYWHERE) for image in (picture(1), 40 + 7 * picture(1)))
    assert scaled == pytest.approx(found, rel=1e-4)


def test_an_inverted_picture_is_no_match() -> None:
    found = consistency(-picture(), picture(), EVERYWHERE)
    assert found["ncc"] == pytest.approx(-1)
    assert found["gradient_correlation"] == pytest.approx(-1)
    assert found["ssim"] < 0.3


def test_the_correlation_is_that_of_pearson() -> None:
    a, b = picture(1), picture(2)
    wanted = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1]
    assert consistency(a, b, EVERYWHERE)["ncc"] == pytest.approx(float(wanted))


def test_a_shade_hides_in_the_values_but_not_in_the_derivatives() -> None:
    """A steep shade over both makes the values alike; derivatives see that only the shade is."""
    shade = torch.linspace(-1, 1, 20)[None].expand(20, 20) * 2
    found = consistency(0.2 * picture(1) + shade, 0.2 * picture(2) + shade, EVERYWHERE)
    assert found["ncc"] > 0.95
    assert found["gradient_correlation"] < 0.7


def test_derivatives_along_rows_and_columns_count_alike() -> None:
    """Both pictures fall alike from row to row, and what one rises from column to column the other falls."""
    down, across = picture(1)[0][:, None], picture(2)[0][None]
    found = consistency(down + across, down - across, EVERYWHERE)
    assert found["gradient_correlation"] == pytest.approx(0, abs=1e-6)


def test_of_a_picture_without_contrast_correlations_are_undefined() -> None:
    found = consistency(torch.zeros(20, 20), picture(), EVERYWHERE)
    assert found["ncc"] != found["ncc"]
    assert found["gradient_correlation"] != found["gradient_correlation"]
