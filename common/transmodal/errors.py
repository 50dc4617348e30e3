"""The one error a user meets for bad input: which file, what was found, what was wanted, what to do."""

from __future__ import annotations

import math
from pathlib import Path

__all__ = ["InputError", "require_flag", "require_integer", "require_number"]


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


def require_flag(where: str, value: object, remedy: str = "write it with a capital letter on the command line") -> None:
    """Refuse what is neither true nor false; ``"false"``, as the command line may hand it over, would count as true.

    Args:
        where, remedy: as of :class:`InputError`.
        value: of a configuration or a call.
    Raises:
        InputError: if ``value`` is no truth value.
    """
    if not isinstance(value, bool):
        wanted = "true or false in JSON, True or False on the command line"
        raise InputError(where, found=repr(value), wanted=wanted, remedy=remedy)


def require_integer(
    where: str, value: object, least: int = 1, remedy: str = "give a whole number without quotes"
) -> None:
    """Refuse what is no whole number of ``least`` or more; a truth value is none.

    Args:
        where, remedy: as of :class:`InputError`.
        value: of a configuration or a call.
        least: the smallest that is accepted.
    Raises:
        InputError: if ``value`` is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(where, found=repr(value), wanted=f"an integer of {least} or more", remedy=remedy)


def require_number(where: str, value: object, remedy: str = "give a number without quotes") -> None:
    """Refuse what is no finite number of 0 or more; a truth value is none.

    Args:
        where, remedy: as of :class:`InputError`.
        value: of a configuration or a call.
    Raises:
        InputError: if ``value`` is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(where, found=repr(value), wanted="a number of 0 or more", remedy=remedy)
