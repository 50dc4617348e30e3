"""The section of each case where a study took the first of a numbered series for training and the rest for test."""

from __future__ import annotations

from typing import Any

from transmodal.errors import InputError


def check_share(first: Any) -> None:
    """Refuse what is no share of a series.

    Raises:
        InputError: if it is neither None nor a number between 0 and 1.
    """
    if first is not None and (isinstance(first, bool) or not isinstance(first, int | float) or not 0 < first < 1):
        raise InputError(
            "--first", found=str(first), wanted="a share between 0 and 1, such as 0.7", remedy="correct it"
        )


def first_share(count: int, first: float | None) -> list[str]:
    """Sections of a series in its order: a share, rounded down, is for training, the rest for test; else all train."""
    trained = count if first is None else int(first * count + 1e-9)
    return ["training"] * trained + ["test"] * (count - trained)
