"""The one error a user meets for bad input: which file, what was found, what was wanted, what to do."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """An input that cannot be used, told in three parts.

    The first line stands alone, because MONAI and ignite re-raise around it and users often see nothing else.

    Args:
        where: the file, folder or configuration id that is at fault.
        found: what is there.
        wanted: what would have been accepted.
        remedy: what the user can do about it.
    """

    def __init__(self, where: str | Path, *, found: str, wanted: str, remedy: str) -> None:
        self.where, self.found, self.wanted, self.remedy = str(where), found, wanted, remedy
        super().__init__(f"{where}: found {found}; wanted {wanted}.\n  What to do: {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip from a data-loading worker process."""
        return _rebuild, (self.where, self.found, self.wanted, self.remedy)


def _rebuild(where: str, found: str, wanted: str, remedy: str) -> InputError:
    return InputError(where, found=found, wanted=wanted, remedy=remedy)
