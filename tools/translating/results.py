"""Where results lie: each case is made aside and then put into its place whole; files of others are never touched."""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from translating import provenance
from transmodal.errors import InputError

__all__ = ["Results"]

WORKING = re.compile(r"\.translate-(?P<host>.*)-(?P<pid>\d{1,9})-\w{8}")
DAY = 24 * 60 * 60  # seconds
BEFORE = "before"


@dataclass(frozen=True)
class Results:
    """The folder of the results.

    Args:
        output: it holds a folder for each case.
    """

    output: Path

    @classmethod
    def opened(cls, output: Path) -> Results:
        """Make the folder, and clear it of what killed runs have left.

        Raises:
            InputError: if nothing can be written there.
        """
        results = cls(output)
        try:
            output.mkdir(parents=True, exist_ok=True)
            results.working().cleanup()
        except OSError as error:
            raise InputError(
                output,
                found=f"no folder that can be written ({error.strerror})",
                wanted="a folder for the results",
                remedy="name another --output, or see to its permissions and the space on its disk",
            ) from error
        for folder in sorted(output.iterdir()):
            if _left_behind(folder):
                results._clear(folder)
        return results

    def working(self) -> TemporaryDirectory[str]:
        """A new folder to make one case in, on the same disk; its name tells who works there."""
        prefix = f".translate-{platform.node()}-{os.getpid()}-"
        return TemporaryDirectory(prefix=prefix, dir=self.output, ignore_cleanup_errors=True)

    def put(self, made: Path, working: Path, inputs: Sequence[Path] = ()) -> Path:
        """Let a complete folder take its place; an earlier result there goes, or is back if that fails.

        Args:
            made: named after its case.
            working: the folder of :meth:`working` in which it was made.
            inputs: files that must stay.
        Raises:
            InputError: if something else than a result is there.
        """
        folder, before = self.output / made.name, working / BEFORE / made.name
        if os.path.lexists(folder):
            provenance.check_replaceable(folder, inputs)
        before.parent.mkdir()
        try:
            if os.path.lexists(folder):
                os.replace(folder, before)
            os.replace(made, folder)
        finally:
            _restore(before, folder)
        return folder

    def _clear(self, folder: Path) -> None:
        """Remove what a killed run left, but for a result that it was about to replace."""
        for before in folder.glob(f"{BEFORE}/*"):
            _restore(before, self.output / before.name)
        shutil.rmtree(folder, ignore_errors=True)


def _restore(before: Path, folder: Path) -> None:
    if os.path.lexists(before) and not os.path.lexists(folder):
        os.replace(before, folder)


def _left_behind(folder: Path) -> bool:
    """Whether this is a working folder whose process is gone; one of another machine is so after a day."""
    named = WORKING.fullmatch(folder.name)
    if named is None or folder.is_symlink() or not folder.is_dir():
        return False
    if named["host"] == platform.node() and os.name == "posix":
        return not _runs(int(named["pid"]))
    return time.time() - folder.stat().st_mtime > DAY


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks only
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and is another user's
        return True
    return True
