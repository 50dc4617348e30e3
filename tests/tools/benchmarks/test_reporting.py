"""Tables and where they were measured."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.measuring import Contestant, Result
from benchmarks.reporting import aligned, circumstances, commit, gains, machine, rows_of, speed_table
from benchmarks.setting import Setting

RESULTS = [
    Result(Contestant("published operators"), (1900.0, 2000.0, 2100.0), 0.0, 0.4, 0.92),
    Result(Contestant("ours", batch=8), (8000.0, 8000.0, 9000.0), 1.5e-6, 0.4, 1.75),
    Result(Contestant("ours", amp=True), (500.0, 500.0, 500.0), 0.012, 0.4, 0.81),
]


def rows(resolution: tuple[int, ...] = (256, 192)) -> list[dict[str, Any]]:
    return rows_of(RESULTS, "NCSNpp", resolution)


def test_the_ratio_is_of_samples_per_second_to_those_of_the_first_row() -> None:
    assert [row["ratio"] for row in rows()] == [1.0, 2.0, 4.0]


def test_a_row_tells_everything_that_was_measured() -> None:
    assert rows()[1] == {
        "network": "NCSNpp, ours",
        "resolution": [256, 192],
        "batch": 8,
        "dtype": "float32",
        "ms": 8000.0,
        "per_second": 1.0,
        "gigabytes": 1.75,
        "ratio": 2.0,
        "difference": 1.5e-6,
        "repetitions_ms": [8000.0, 8000.0, 9000.0],
    }


def test_the_table_has_a_line_per_row_under_a_header() -> None:
    header, *lines = [re.split(r"\s{2,}", line.strip()) for line in speed_table(rows()).splitlines()]
    assert header == ["network", "resolution", "batch", "dtype", "ms", "slices/s", "GB", "ratio", "difference"]
    assert lines == [
        ["NCSNpp, published operators", "256×192", "1", "float32", "2000.0", "0.5", "0.92", "1.00", "0.0e+00"],
        ["NCSNpp, ours", "256×192", "8", "float32", "8000.0", "1", "1.75", "2.00", "1.5e-06"],
        ["NCSNpp, ours", "256×192", "1", "bf16 autocast", "500.0", "2", "0.81", "4.00", "1.2e-02"],
    ]


def test_of_volumes_it_counts_volumes() -> None:
    assert "volumes/s" in speed_table(rows((96, 96, 64)))


def test_gains_are_over_ours_in_float32_and_told_by_arithmetic() -> None:
    times = [("ours", 1, False, 400.0), ("ours, channels_last", 4, False, 1000.0), ("ours", 4, True, 500.0)]
    results = [Result(Contestant(name, batch, amp=amp), (taken,), 0.0, 0.4, 1.0) for name, batch, amp, taken in times]
    assert gains(rows_of([RESULTS[0], *results], "SUNet", (8, 8))) == (
        "at best, over ours in float32 in batches of 1: float32 1.60 times (ours, channels_last, batches of 4); "
        "bf16 autocast 3.20 times (ours, batches of 4)."
    )


def test_columns_are_aligned_numbers_to_the_right() -> None:
    assert aligned([["a", "ms"], ["longer", "1.0"], ["b", "100.0"]]) == "a          ms\nlonger    1.0\nb       100.0"


def test_the_circumstances_are_complete() -> None:
    told = circumstances(Setting("/somewhere/ct_mr_tiny_translation", (8, 8), threads=2), command="python x.py")
    assert told == {
        "bundle": "ct_mr_tiny_translation",
        "machine": machine("cpu"),
        "device": "cpu",
        "threads": 2,
        "torch": torch.__version__,
        "commit": commit(),
        "command": "python x.py",
    }
    assert told["machine"]


def test_the_commit_is_that_of_the_checkout(root: Path) -> None:
    if not (root / ".git").exists():
        pytest.skip("not a checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert commit().removesuffix("-dirty") == head.strip()


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"
