"""Memory of volumes: measured in fresh processes, without what the volume itself takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.setting import Setting
from benchmarks.volumes import VolumeMemory, volume_memories, volume_table
from tests.packaging.tiny import tiny_bundle

MEMORY = VolumeMemory(slices=20, peak=1.5, before=0.75, result=0.25)


def test_what_is_added_is_neither_network_nor_volume_nor_result() -> None:
    assert MEMORY.added == 0.5


def test_each_volume_has_a_row() -> None:
    header, *rows = volume_table([MEMORY, MEMORY]).splitlines()
    assert header.split()[0] == "slices"
    assert [row.split() for row in rows] == [["20", "1.500", "0.750", "0.250", "0.500"]] * 2


def test_a_volume_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    setting = Setting(str(tiny_bundle(tmp_path)), resolution=(250, 1000))
    (memory,) = volume_memories(setting, [100])
    assert memory.result == pytest.approx(0.1)
    assert 0.1 < memory.before < memory.peak
    assert memory.peak - memory.before >= 0.09
