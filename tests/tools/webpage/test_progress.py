"""The file by which a process tells how far it is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from webpage import progress
from webpage.progress import ProgressFile, read_progress


def test_before_the_first_word_a_job_is_starting(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "no file") == {"stage": "starting", "step": 0, "steps": 0, "eta_seconds": None}


def test_stage_and_steps_are_told(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "progress.json")
    file.stage("translating")
    file.steps(0, 8)
    told = read_progress(file.path)
    assert (told["stage"], told["step"], told["steps"], told["eta_seconds"]) == ("translating", 0, 8, None)


def test_the_time_left_follows_from_the_rate_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    file = ProgressFile(tmp_path / "progress.json")
    file.steps(0, 8)
    now[0] += 6
    file.steps(2, 8)
    assert read_progress(file.path)["eta_seconds"] == pytest.approx(18)
    now[0] += 2  # a step is being made meanwhile
    assert read_progress(file.path)["eta_seconds"] == pytest.approx(16)


def test_an_unknown_number_of_steps_has_no_end(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "progress.json")
    file.steps(0, 0)
    file.stage("translating")
    file.steps(3, 0)
    file.stage("checking")
    told = read_progress(file.path)
    assert (told["step"], told["steps"], told["eta_seconds"]) == (3, 0, None)


def test_steps_that_follow_fast_are_not_all_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 3600)
    file = ProgressFile(tmp_path / "progress.json")
    file.steps(0, 100)
    for made in range(1, 100):
        file.steps(made, 100)
    assert json.loads(file.path.read_text(encoding="utf-8"))["step"] == 0
    file.steps(100, 100)
    assert read_progress(file.path)["step"] == 100
