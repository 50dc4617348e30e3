"""Memory of volumes: measured in fresh processes, without what the volume itself takes."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from benchmarks import volumes
from benchmarks.setting import Setting
from benchmarks.volumes import VolumeMemory, volume_memories, volume_table
from tests.packaging.tiny import tiny_bundle

MEMORY = VolumeMemory(slices=20, peak=1.5, before=0.75, result=0.25)


def test_what_is_added_is_neither_network_nor_volume_nor_result() -> None:
    assert MEMORY.added == 0.5


def test_each_volume_has_a_row() -> None:
    header, *rows = volume_table([MEMORY, MEMORY]).splitlines()
    assert header.split()[:2] == ["way", "slices"]
    assert [row.split() for row in rows] == [["as", "configured", "20", "1.500", "0.750", "0.250", "0.500"]] * 2


def test_a_volume_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    setting = Setting(str(tiny_bundle(tmp_path)), resolution=(250, 1000))
    (memory,) = volume_memories(setting, [100])
    assert memory.result == pytest.approx(0.1)
    assert 0.1 < memory.before < memory.peak
    assert memory.peak - memory.before >= 0.09


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """What would be measured in processes of its own; nothing is."""
    settings: list[Setting] = []

    class Here:
        """Runs what it is given at once, in the place of another process."""

        def __init__(self, **_: Any) -> None: ...

        def __enter__(self) -> Here:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, _: object, setting: Setting, slices: int) -> Future[VolumeMemory]:
            settings.append(setting)
            answer: Future[VolumeMemory] = Future()
            answer.set_result(VolumeMemory(slices, 1.5, 0.75, 0.25))
            return answer

    monkeypatch.setattr(volumes, "ProcessPoolExecutor", Here)
    return settings


def test_of_md_dga_a_volume_is_measured_in_slabs_and_whole(settings: list[Setting]) -> None:
    setting = Setting("/somewhere/ct_mr_mddga_translation", (8, 8), overrides=(("num_steps", 2),))
    memories = volume_memories(setting, [16])
    assert [(memory.way, memory.slices) for memory in memories] == [("in slabs", 16), ("whole", 16)]
    assert [dict(each.overrides) for each in settings] == [{"num_steps": 2}, {"num_steps": 2, "slab": None}]


def test_of_x_ray2ctpa_the_volume_is_as_large_as_asked_for(settings: list[Setting]) -> None:
    volume_memories(Setting("/somewhere/chest_xray_ctpa_translation", (16, 24)), [8])
    assert [dict(each.overrides) for each in settings] == [
        {"num_steps": 1, "grid": [8, 16, 24]},
        {"num_steps": 1, "slices_at_once": 1, "grid": [8, 16, 24]},
    ]


def test_of_x_ray2ctpa_a_volume_is_made_of_a_picture(root: Path) -> None:
    bundle = str(root / "bundles/chest_xray_ctpa_translation")
    assert Setting(bundle, (16, 24), overrides=(("xray_size", 40),)).volume(8).shape == (1, 1, 40, 40)
