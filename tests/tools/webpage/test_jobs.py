"""The queue of jobs: one at a time, cancelled at any moment, gone after their time; real processes, no translation."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tools.webpage.conftest import OVER, runs, wait_until
from transmodal.errors import InputError
from webpage import jobs as module
from webpage.jobs import Job, Jobs
from webpage.processes import Work
from webpage.progress import ProgressFile
from webpage.settings import Settings
from webpage.uploads import TooMany, Upload

HERE = "tests.tools.webpage.test_jobs"
FILES = {"translation": "made/ct.nii.gz", "provenance": "made/provenance.json"}


def translate(job: dict[str, Any], upload: dict[str, Any], folder: str, files: str, views: str) -> dict[str, Any]:
    """In place of the translation: writes, waits or fails, as the job says."""
    place = Path(folder)
    listener = ProgressFile(place / "progress.json")
    listener.stage("translating")
    listener.steps(0, 4)
    listener.steps(4, 4)
    (place / "pid.partial").write_text(str(os.getpid()), encoding="utf-8")
    (place / "pid.partial").rename(place / "pid")
    if job["does"] == "fail":
        raise InputError(f"{files}/scan.nii.gz", found="nothing", wanted="something", remedy="look again")
    if job["does"] == "crash":
        psutil.Process().kill()
    while not (Path(job["gate"])).exists():
        time.sleep(0.02)
    (place / "made").mkdir()
    for name in FILES.values():
        (place / name).write_text("made", encoding="utf-8")
    return {"files": FILES, "units": "HU", "windows": {}, "measures": {}, "warnings": [f"{place}/made is odd"]}


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Jobs go on as soon as this file is there."""
    return tmp_path / "gate"


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.setattr(module, "Work", lambda _, *given: Work(f"{HERE}:translate", *given))
    jobs = Jobs(tmp_path / "jobs", Settings((), max_held=4))
    yield jobs
    jobs.close()


@pytest.fixture
def add(queue: Jobs, tmp_path: Path, gate: Path) -> Callable[..., Job]:
    """Ask for a job that does this."""
    upload = Upload(tmp_path / "uploads", 60)
    upload.examined = {}

    def ask(does: str = "wait") -> Job:
        work = {"does": does, "gate": str(gate)}
        request = {"bundle": "b", "source": "mr", "target": "ct", "options": {}, "work": work}
        return queue.add(request, upload)

    return ask


def wait(queue: Jobs, job: Job, *states: str) -> dict[str, Any]:
    wait_until(lambda: queue.record(job)["state"] in (states or OVER))
    return queue.record(job)


def pid_of(job: Job) -> int:
    file = job.folder / "pid"
    wait_until(file.is_file)
    return int(file.read_text(encoding="utf-8"))


def test_one_runs_and_the_others_wait_for_their_turn(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    first, second, third = add(), add(), add()
    pid_of(first)
    told = [queue.record(job) for job in (first, second, third)]
    assert [(each["state"], each["position"]) for each in told] == [("running", None), ("queued", 1), ("queued", 2)]
    gate.touch()
    wait(queue, third)
    begun = [job.begun or 0 for job in (first, second, third)]
    assert begun == sorted(begun)
    assert (first.ended or 0) <= begun[1]


def test_a_running_job_tells_its_stage_and_steps(queue: Jobs, add: Callable[..., Job]) -> None:
    job = add()
    pid_of(job)
    told = queue.record(job)
    assert (told["stage"], told["step"], told["steps"], told["eta_seconds"]) == ("translating", 4, 4, 0.0)
    assert told["files"] == {}


def test_a_job_that_is_done_tells_its_files_and_no_places(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    gate.touch()
    job = add()
    told = wait(queue, job)
    assert told["state"] == "done"
    assert told["files"]["translation"] == f"/api/jobs/{job.id}/files/translation.nii.gz"
    assert told["warnings"] == ["made is odd"]
    file = job.file("translation.nii.gz")
    assert file is not None
    assert file.read_text(encoding="utf-8") == "made"
    assert job.file("progress.json") is None
    assert job.file("made/ct.nii.gz") is None


def test_a_running_job_is_cancelled_with_its_process_and_files(queue: Jobs, add: Callable[..., Job]) -> None:
    job = add()
    pid = pid_of(job)
    queue.cancel(job)
    assert not runs(pid)
    assert not job.folder.exists()
    told = queue.record(job)
    assert (told["state"], told["files"], told["error"]) == ("cancelled", {}, None)


def test_a_cancelled_job_needs_its_upload_no_more(
    queue: Jobs, add: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Work):
        def answer(self, timeout: float | None = None) -> Any:
            try:
                return super().answer(timeout)
            finally:
                time.sleep(0.3)

    monkeypatch.setattr(module, "Work", lambda _, *given: Slow(f"{HERE}:translate", *given))
    job = add()
    pid_of(job)
    queue.cancel(job)
    assert job.upload.jobs == 0


def test_what_a_job_is_told_to_be_it_is_in_all(
    queue: Jobs, add: Callable[..., Job], gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sees that a job is over finds its time begun, its upload free, and no file of one that failed."""
    seen: list[tuple[bool, bool, int]] = []

    class Watched(Job):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "state" and value in OVER:
                seen.append((self.folder.exists(), self.used >= (self.begun or 0), self.upload.jobs))

    monkeypatch.setattr(module, "Job", Watched)
    gate.touch()
    wait(queue, add("wait"))
    wait(queue, add("fail"))
    assert seen == [(True, True, 0), (False, True, 0)]


def test_after_a_cancelled_job_the_next_one_runs(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    first, second = add(), add()
    pid_of(first)
    queue.cancel(first)
    gate.touch()
    assert wait(queue, second)["state"] == "done"
    assert queue.record(first)["state"] == "cancelled"
    assert not first.folder.exists()


def test_a_waiting_job_is_cancelled_and_never_begun(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    first, second, third = add(), add(), add()
    pid_of(first)
    queue.cancel(second)
    gate.touch()
    wait(queue, third)
    assert second.begun is None
    assert second.state == "cancelled"


def test_a_job_that_fails_says_why_without_places_and_leaves_nothing(queue: Jobs, add: Callable[..., Job]) -> None:
    job = add("fail")
    told = wait(queue, job)
    assert told["error"] == "scan.nii.gz: found nothing; wanted something. What to do: look again"
    assert not job.folder.exists()


def test_a_process_that_dies_fails_its_job_and_not_the_next(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    gate.touch()
    first, second = add("crash"), add()
    assert "SIGKILL" in wait(queue, first)["error"]
    assert wait(queue, second)["state"] == "done"


def test_an_upload_is_needed_until_its_jobs_are_over(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    first, second = add(), add()
    pid_of(first)
    assert first.upload.jobs == 2
    queue.cancel(second)
    assert first.upload.jobs == 1
    gate.touch()
    wait(queue, first)
    assert first.upload.jobs == 0


def test_a_job_that_is_over_can_be_removed(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    gate.touch()
    job = add()
    wait(queue, job)
    queue.cancel(job)
    assert queue.get(job.id) is None
    assert not job.folder.exists()


def test_results_go_when_their_time_is_over(queue: Jobs, add: Callable[..., Job], gate: Path) -> None:
    gate.touch()
    job = add()
    wait(queue, job)
    queue.sweep()
    assert queue.get(job.id) is job
    job.used -= 7200
    queue.sweep()
    assert queue.get(job.id) is None
    assert not job.folder.exists()


def test_more_jobs_than_are_kept_are_refused(queue: Jobs, add: Callable[..., Job]) -> None:
    for _ in range(4):
        add()
    with pytest.raises(TooMany, match="found 4 jobs that wait already"):
        add()


def test_jobs_that_were_cancelled_keep_no_other_from_its_turn(queue: Jobs, add: Callable[..., Job]) -> None:
    first = add()
    pid_of(first)
    for _ in range(8):
        queue.cancel(add())
    assert [queue.record(add())["position"] for _ in range(3)] == [1, 2, 3]
    assert len(queue._held) == 4


def test_where_all_places_are_taken_the_result_that_was_used_longest_ago_goes(
    queue: Jobs, add: Callable[..., Job], gate: Path
) -> None:
    gate.touch()
    done = [add() for _ in range(4)]
    wait(queue, done[-1])
    queue.get(done[0].id)
    add()
    assert [queue.get(job.id) is None for job in done] == [False, True, False, False]
    assert not done[1].folder.exists()


def test_whoever_looks_at_a_result_uses_its_upload_too(queue: Jobs, add: Callable[..., Job]) -> None:
    job = add()
    job.upload.used -= 3600
    assert job.upload.expired
    queue.get(job.id)
    assert not job.upload.expired


def test_a_result_is_packed_once_for_all_who_ask_at_the_same_time(
    queue: Jobs, add: Callable[..., Job], gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.touch()
    job = add()
    assert job.packed("dicom") is None
    wait(queue, job)
    (job.folder / "made" / "image.raw").write_bytes(os.urandom(8 << 20))
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(job.packed, ["nifti"] * 6))
    assert set(paths) == {job.folder / "nifti.zip"}
    with zipfile.ZipFile(job.folder / "nifti.zip") as zipped:
        assert zipped.testzip() is None
    packed = (job.folder / "nifti.zip").stat().st_mtime_ns
    job.packed("nifti")
    assert (job.folder / "nifti.zip").stat().st_mtime_ns == packed
