"""How a program ends that a user's mistake, or the place that it is to write to, does not let go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transmodal.errors import InputError

__all__ = ["ended_by_faults"]


@contextmanager
def ended_by_faults(output: str | Path) -> Iterator[None]:
    """End the program with status 1 and a text instead of a traceback.

    Args:
        output: what is written to, told where the system names no file, as for a full disk.
    """
    try:
        yield
    except InputError as error:
        sys.exit(str(error))
    except OSError as error:
        told = InputError(
            error.filename or output,
            found=error.strerror or str(error),
            wanted="files that can be read and a folder that can be written",
            remedy="see to its permissions and the space on its disk, or name another one",
        )
        sys.exit(str(told))
