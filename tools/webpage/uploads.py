"""Uploads: received, examined, kept for a while, gone."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from functools import cached_property
from pathlib import Path
from typing import Any

from transmodal.errors import InputError
from webpage.processes import Ended, Works
from webpage.receiving import receive
from webpage.settings import Settings
from webpage.storage import Held, told_without

__all__ = ["TooMany", "Upload", "Uploads"]

AT_ONCE = 1
"""Uploads that are examined at the same time; one may take gigabytes, beside what a job takes."""


class TooMany(InputError):
    """No more is kept at a time."""


class Upload(Held):
    """What one request brought.

    Attributes:
        examined: what the preflight found.
        jobs: number of jobs that wait for it or read it.
    """

    examined: dict[str, Any]
    jobs: int = 0

    @cached_property
    def files(self) -> Path:
        """What was received."""
        return self._folder("files")

    @cached_property
    def views(self) -> Path:
        """What the page shows of it."""
        return self._folder("views")

    def view(self, name: str) -> Path | None:
        """The file that is shown under this name, if there is one; no other file of the folder has a name here."""
        return self.views / name if name in self.examined["files"].values() else None

    def record(self) -> dict[str, Any]:
        """What the page is told."""
        hidden = ("paths", "series", "files")
        told = {key: value for key, value in self.examined.items() if key not in hidden}
        files = {name: f"/api/uploads/{self.id}/files/{file}" for name, file in self.examined["files"].items()}
        usable = all(check["level"] != "error" for check in self.examined["checks"])
        return {"upload": self.id, **told, "usable": usable, "files": files, "expires": self.expires}

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder


class Uploads:
    """All uploads of a server.

    Args:
        root: folder for them.
        settings: limits and times.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root, self.settings = root, settings
        self._held: dict[str, Upload] = {}
        self._coming = 0
        self._lock = threading.Lock()
        self._examining = threading.Semaphore(AT_ONCE)
        self._works = Works()

    async def receive(self, content_type: str, body: AsyncIterator[bytes]) -> tuple[Upload, dict[str, str]]:
        """Take the files of a request; nothing of them stays if that fails. :meth:`examine` has to follow.

        Raises:
            TooMany: if as many uploads are kept as may be.
            InputError: as :func:`~webpage.receiving.receive`.
        """
        self._make_room()
        upload = Upload(self.root, self.settings.retention)
        try:
            limits = (self.settings.max_upload, self.settings.max_files)
            return upload, await receive(content_type, body, upload.files, *limits)
        except BaseException:
            self._give_up(upload)
            raise

    def examine(self, upload: Upload, names: dict[str, str]) -> Upload:
        """Find out what was received, and keep it.

        Raises:
            InputError: if it cannot be read.
        """
        arguments = {
            "files": str(upload.files),
            "views": str(upload.views),
            "names": names,
            "max_bytes": self.settings.max_upload,
            "max_files": self.settings.max_files,
            "classifier": str(self.settings.classifier) if self.settings.classifier else None,
        }
        try:
            with self._examining:
                limits = (self.settings.max_memory or 0, self.settings.preflight_seconds)
                upload.examined = self._works.answer("webpage.preflight:examine", arguments, upload.folder, *limits)
        except Ended as error:
            self._give_up(upload)
            raise InputError(
                "the upload",
                found=f"files that cannot be examined ({error})",
                wanted="a complete scan",
                remedy="export it again, or try a smaller one",
            ) from error
        except InputError as error:
            self._give_up(upload)
            raise _without_folders(error, upload) from error
        except BaseException:
            self._give_up(upload)
            raise
        for check in upload.examined["checks"]:
            check["text"] = told_without(check["text"], upload.files, upload.views)
        upload.touch()
        with self._lock:
            self._coming -= 1
            self._held[upload.id] = upload
        return upload

    def get(self, name: str) -> Upload | None:
        """What is kept under this name; its time starts again."""
        with self._lock:
            upload = self._held.get(name)
        if upload is not None:
            upload.touch()
        return upload

    def remove(self, upload: Upload) -> bool:
        """Delete it, unless a job needs it."""
        with self._lock:
            if upload.jobs:
                return False
            self._held.pop(upload.id, None)
        upload.remove()
        return True

    def sweep(self) -> None:
        """Delete all whose time is over."""
        with self._lock:
            over = [upload for upload in self._held.values() if upload.expired]
        for upload in over:
            self.remove(upload)

    def close(self) -> None:
        """End what is being examined."""
        self._works.close()

    def _make_room(self) -> None:
        """Where as many are kept as may be, the one goes that was used longest ago and that no job needs."""
        self.sweep()
        while len(self._held) + self._coming >= self.settings.max_held and (idle := self._idle()):
            self.remove(idle[0])
        with self._lock:
            if len(self._held) + self._coming >= self.settings.max_held:
                raise TooMany(
                    "the upload",
                    found=f"{self.settings.max_held} uploads that are received or needed by jobs already",
                    wanted="fewer",
                    remedy="cancel some jobs, or wait until they are done",
                )
            self._coming += 1

    def _idle(self) -> list[Upload]:
        """Those that no job needs, from what was used longest ago."""
        with self._lock:
            idle = [upload for upload in self._held.values() if not upload.jobs]
        return sorted(idle, key=lambda upload: upload.used)

    def _give_up(self, upload: Upload) -> None:
        with self._lock:
            self._coming -= 1
        upload.remove()


def _without_folders(error: InputError, upload: Upload) -> InputError:
    """The same error, of the same kind, as the sender may see it."""
    told = {name: getattr(error, name) for name in ("where", "found", "wanted", "remedy")}
    return type(error)(**{name: told_without(text, upload.files, upload.views) for name, text in told.items()})
