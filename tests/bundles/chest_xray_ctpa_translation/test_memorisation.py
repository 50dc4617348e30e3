"""Copies of training CTs are found, and only copies."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from xray2ctpa_bundle.memorisation import MemorisationCheck, RememberedCTs

from tests.bundles.chest_xray_ctpa_translation.chests import anatomy, chest, evaluate
from transmodal.errors import InputError

WINDOW, SIZE = (-1000.0, 600.0), (4, 8, 8)


def remembered(count: int = 8) -> RememberedCTs:
    return RememberedCTs([chest(f"training_{number}", number) for number in range(count)], WINDOW, SIZE)


def check(folder: Path, cases: list[dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    evaluate(cases, [MemorisationCheck(folder, remembered(), **arguments)])
    return json.loads((folder / "memorisation.json").read_text())


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "memorisation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def blurred(volume: Tensor) -> Tensor:
    """As generated CTs are: pale, and somewhat smooth."""
    smooth = torch.nn.functional.avg_pool3d(volume, (1, 3, 3), 1, (0, 1, 1))
    return 0.4 * (0.7 * volume + 0.3 * smooth) - 200


@pytest.mark.parametrize("shift", [(1, 0, 0), (0, 0, 2), (-1, 1, 2)])
def test_moved_copies_are_named(tmp_path: Path, shift: tuple[int, int, int]) -> None:
    moved = anatomy(3).roll(shift, dims=(1, 2, 3))
    found = check(tmp_path, [chest("copied", 100, moved), chest("honest", 101, anatomy(101))])
    assert found["copies"] == ["copied"]
    assert table(tmp_path)[0]["nearest"] == "training_3"


def test_results_that_are_all_the_mean_training_ct_are_not_suspected(tmp_path: Path) -> None:
    mean = torch.stack([anatomy(number) for number in range(8)]).mean(dim=0) + 3 * (anatomy(5) > 0)
    found = check(tmp_path, [chest(f"case_{n}", 100 + n, mean) for n in range(10)])
    assert found["verdict"].startswith("no sign of copies")
    assert found["chance"] > 0.5


def test_blurred_copies_of_training_cts_are_named(tmp_path: Path) -> None:
    cases = [chest("copied", 100, blurred(anatomy(3))), chest("honest", 101, blurred(anatomy(101)))]
    found = check(tmp_path, cases)
    assert found["copies"] == ["copied"]
    assert found["verdict"] == "copies of training CTs suspected in 1 of 2 case(s) against 8 training CTs: copied"
    assert found["nearer_to_a_training_ct_than_to_their_own"] == ["copied"]
    rows = {row["case"]: row for row in table(tmp_path)}
    assert rows["copied"]["nearest"] == "training_3"
    assert float(rows["copied"]["ratio"]) < 1 / 3 < float(rows["honest"]["ratio"])
    assert float(rows["honest"]["distance_to_own_ct"]) < 0.3


def test_honest_blurred_results_are_not_suspected(tmp_path: Path) -> None:
    found = check(tmp_path, [chest(f"case_{n}", 100 + n, blurred(anatomy(100 + n))) for n in range(10)])
    assert found["copies"] == []
    assert found["chance"] > 0.05
    assert found["verdict"] == "no sign of copies; 10 case(s) against 8 training CTs"


def test_the_mean_training_ct_is_not_taken_for_a_copy(tmp_path: Path) -> None:
    mean = torch.stack([anatomy(number) for number in range(8)]).mean(dim=0)
    found = check(tmp_path, [chest(f"case_{n}", 100 + n, mean + torch.randn(mean.shape)) for n in range(10)])
    assert found["verdict"].startswith("no sign of copies")


def test_imperfect_copies_show_in_many_cases_together(tmp_path: Path) -> None:
    def half_copied(number: int) -> Tensor:
        return 0.6 * anatomy(number % 8) + 0.4 * anatomy(200 + number)

    found = check(tmp_path, [chest(f"case_{n}", 100 + n, half_copied(n)) for n in range(10)], ratio_limit=0.01)
    assert found["copies"] == []
    assert found["chance"] < 0.01
    assert found["verdict"].startswith("generated CTs lean on single training CTs more than true ones do (p = ")


def test_few_cases_are_told_to_be_few(tmp_path: Path) -> None:
    found = check(tmp_path, [chest("a", 100)])
    assert (
        found["verdict"] == "no sign of copies; 1 case(s) against 8 training CTs; so few cases show gross copying only"
    )


def test_a_training_case_that_is_evaluated_is_compared_with_the_others(tmp_path: Path) -> None:
    found = check(tmp_path, [chest("training_3", 3)])
    assert found["copies"] == []
    assert table(tmp_path)[0]["nearest"] != "training_3"


def test_a_figure_is_drawn(tmp_path: Path) -> None:
    check(tmp_path, [chest("a", 100)])
    assert (tmp_path / "memorisation.png").stat().st_size > 10_000


@pytest.mark.parametrize("count", [0, 2])
def test_with_fewer_than_three_training_cts_nothing_is_claimed(tmp_path: Path, count: int) -> None:
    evaluate([chest("a", 100)], [MemorisationCheck(tmp_path, remembered(count))])
    found = json.loads((tmp_path / "memorisation.json").read_text())
    assert found["verdict"].startswith("not checked, which takes three training CTs or more")
    assert not (tmp_path / "memorisation.png").exists()


def test_a_broken_result_is_left_out(tmp_path: Path) -> None:
    found = check(tmp_path, [chest("a", 100, torch.full_like(anatomy(0), torch.nan)), chest("b", 101)])
    assert [row["case"] for row in table(tmp_path)] == ["b"]
    assert found["cases"] == 1


def test_each_training_ct_is_read_once_for_baselines_and_check() -> None:
    read: list[int] = []

    class Cases:
        def __iter__(self) -> Iterator[dict[str, Any]]:
            for number in range(4):
                read.append(number)
                yield chest(f"training_{number}", number)

    training = RememberedCTs(Cases(), WINDOW, SIZE)
    assert [sample["case"] for sample in training] == [f"training_{number}" for number in range(4)]
    assert list(training.signatures()) == [f"training_{number}" for number in range(4)]
    assert read == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["ratio_limit", "significance"])
@pytest.mark.parametrize("value", [0, 1, "0.5", True])
def test_limits_are_shares(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"MemorisationCheck, {name}: found .* wanted a number between 0 and 1"):
        MemorisationCheck(tmp_path, remembered(), **{name: value})  # type: ignore[arg-type]
