"""A pipeline tells what it is doing, and how many calls of the network were made of how many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.tools.translating.scans import ct_values, write_volume
from translating.inputs import Scan
from translating.pipeline import Pipeline


class Ear:
    """Remembers all that it hears."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.heard: list[tuple[int, int]] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def steps(self, made: int, total: int) -> None:
        self.heard.append((made, total))


def test_stages_come_in_order_and_every_call_is_told(pipeline: Callable[..., Pipeline], tmp_path: Path) -> None:
    scan = Scan("scan", write_volume(tmp_path / "scan.nii.gz", ct_values((24, 26, 9))))
    ear = Ear()
    outcome = replace(pipeline(ids={"slice_batch": 4}), listener=ear)(scan)
    assert outcome.status == "translated", outcome.text
    assert ear.stages == ["reading", "translating", "checking", "writing"]
    assert ear.heard == [(0, 3), (1, 3), (2, 3), (3, 3)]  # 9 slices, 4 at a time


def test_nobody_has_to_listen(pipeline: Callable[..., Pipeline], tmp_path: Path) -> None:
    scan = Scan("scan", write_volume(tmp_path / "scan.nii.gz", ct_values()))
    assert pipeline()(scan).status == "translated"
