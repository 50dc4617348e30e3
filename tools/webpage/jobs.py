"""Jobs: one at a time in a process of its own, the others in a queue; each can be ended at any moment."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path
from typing import Any, Literal

from transmodal.errors import InputError
from webpage.download import archive
from webpage.processes import GRACE, Ended, Work
from webpage.progress import read_progress
from webpage.settings import Settings
from webpage.storage import Held, told_without
from webpage.uploads import TooMany, Upload

__all__ = ["Job", "Jobs"]

State = Literal["queued", "running", "done", "failed", "cancelled"]
OVER = ("done", "failed", "cancelled")


class Job(Held):
    """One translation.

    Attributes:
        request: bundle, source, target and options.
        upload: what is translated.
        state: how far it has come.
        outcome: what its process returned.
        error: why it failed.
    """

    request: dict[str, Any]
    upload: Upload
    state: State = "queued"
    outcome: dict[str, Any]
    error: str | None = None
    begun: float | None = None
    ended: float | None = None
    work: Work | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._packing = threading.Lock()
        self.left = threading.Event()
        """Set when its process is gone and nobody works on its files any more."""

    def file(self, name: str) -> Path | None:
        """The file that the page knows by this name, if there is one."""
        shown = self._files()
        return self.folder / shown[name] if name in shown else None

    def made(self) -> Path | None:
        """The folder of the result, if there is one."""
        return (self.folder / self.outcome["files"]["provenance"]).parent if self.state == "done" else None

    def packed(self, form: str) -> Path | None:
        """The zip of the result, written when it is first asked for; None if there is no result."""
        with self._packing:
            made = self.made()
            return archive(made, form, self.folder / f"{form}.zip") if made else None

    def record(self, position: int | None) -> dict[str, Any]:
        """What the page is told."""
        outcome = self.outcome if self.state == "done" else {}
        seconds = 0.0 if self.begun is None else (self.ended or time.time()) - self.begun
        return {
            "job": self.id,
            "upload": self.upload.id,
            **{key: self.request[key] for key in ("bundle", "source", "target", "options")},
            "units": outcome.get("units", ""),
            "state": self.state,
            "position": position,
            **self._progress(),
            "seconds": round(seconds, 1),
            "error": self.error,
            "warnings": outcome.get("warnings", []),
            "files": {Path(name).name.partition(".")[0]: f"/api/jobs/{self.id}/files/{name}" for name in self._files()},
            "windows": outcome.get("windows", {}),
            "measures": outcome.get("measures", {}),
            "expires": self.expires if self.state in OVER else None,
        }

    def _files(self) -> dict[str, str]:
        """Name that the page uses, such as ``translation.nii.gz``, to the path below the folder."""
        if self.state != "done":
            return {}
        return {name + "".join(Path(path).suffixes): path for name, path in self.outcome["files"].items()}

    def _progress(self) -> dict[str, Any]:
        if self.state == "running":
            return read_progress(self.folder / "progress.json")
        last = self.outcome.get("progress", {}) if self.state == "done" else {}
        stage = "waiting" if self.state == "queued" else self.state
        return {"stage": stage, "step": last.get("step", 0), "steps": last.get("steps", 0), "eta_seconds": None}


class Jobs:
    """All jobs of a server, and the thread that does one after another.

    Args:
        root: folder for them.
        settings: limits and times.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root, self.settings = root, settings
        self._held: dict[str, Job] = {}
        self._waiting: queue.Queue[Job | None] = queue.Queue()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        self._thread.start()

    def add(self, request: dict[str, Any], upload: Upload) -> Job:
        """Put a job into the queue; where as many are kept as may be, one that is over goes.

        Raises:
            TooMany: if none is over.
        """
        self.sweep()
        while len(self._held) >= self.settings.max_held and (over := self._over()):
            self.cancel(over[0])
        with self._lock:
            if len(self._held) >= self.settings.max_held:
                raise TooMany(
                    "the job",
                    found=f"{self.settings.max_held} jobs that wait already",
                    wanted="fewer",
                    remedy="cancel some, or wait until they are done",
                )
            job = Job(self.root, self.settings.retention)
            job.request, job.upload, job.outcome = request, upload, {}
            upload.jobs += 1
            self._held[job.id] = job
        self._waiting.put(job)
        return job

    def get(self, name: str) -> Job | None:
        """What is kept under this name; its time starts again, and that of its upload."""
        with self._lock:
            job = self._held.get(name)
        if job is not None:
            job.touch()
            job.upload.touch()
        return job

    def record(self, job: Job) -> dict[str, Any]:
        """What the page is told of a job, with its place in the queue."""
        with self._lock:
            queued = [each.id for each in self._held.values() if each.state == "queued"]
        return job.record(queued.index(job.id) + 1 if job.id in queued else None)

    def cancel(self, job: Job) -> None:
        """End a job, or remove one that is over; nothing of its files stays."""
        with self._lock:
            if job.state in OVER:
                self._held.pop(job.id, None)
            else:
                was, job.state = job.state, "cancelled"
                if was == "queued":
                    job.upload.jobs -= 1
                    job.left.set()
            work = job.work
        if work is not None:
            work.kill()
        job.left.wait(GRACE)
        job.remove()

    def sweep(self) -> None:
        """Delete all whose time is over."""
        for job in [job for job in self._over() if job.expired]:
            self.cancel(job)

    def close(self) -> None:
        """End all."""
        with self._lock:
            jobs = [job for job in self._held.values() if job.state not in OVER]
        for job in jobs:
            self.cancel(job)
        self._waiting.put(None)
        self._thread.join()

    def _over(self) -> list[Job]:
        """Those that are over: first what left no result, then what was used longest ago."""
        with self._lock:
            over = [job for job in self._held.values() if job.state in OVER]
        return sorted(over, key=lambda job: (job.state == "done", job.used))

    def _serve(self) -> None:
        while (job := self._waiting.get()) is not None:
            with self._lock:
                if job.state != "queued":
                    continue
                job.state, job.begun = "running", time.time()
            self._do(job)

    def _do(self, job: Job) -> None:
        """Run a job to its end, whichever that is."""
        error: str | None = None
        folders = (job.upload.files, job.upload.views, job.folder)
        try:
            arguments = {
                "job": job.request["work"],
                "upload": job.upload.examined,
                "folder": str(job.folder),
                "files": str(job.upload.files),
                "views": str(job.upload.views),
            }
            job.work = Work("webpage.work:translate", arguments, job.folder, self.settings.max_memory or 0)
            if job.state == "cancelled":  # before there was a process to end
                job.work.kill()
            job.outcome = job.work.answer()
            job.outcome["warnings"] = [told_without(text, *folders) for text in job.outcome["warnings"]]
            job.outcome["progress"] = read_progress(job.folder / "progress.json")
        except InputError as fault:
            error = told_without(str(fault), *folders)
        except Ended as fault:
            error = f"the translation broke off: {fault}"
        except Exception as fault:  # whatever it is must not keep the next job from its turn
            error = f"the translation could not be started: {type(fault).__name__}: {fault}"
        if error is not None:
            job.remove()
        job.touch()
        with self._lock:  # from here on others may take it for what it is then
            job.upload.jobs -= 1
            job.ended, job.work = time.time(), None
            if job.state != "cancelled":
                job.state, job.error = ("done" if error is None else "failed"), error
        if job.state == "cancelled":
            job.remove()
        job.left.set()
