"""Refusals in the bundles' own three parts: what was found, what was wanted, what to do."""

from __future__ import annotations


def refusal(option: str, found: str, wanted: str, remedy: str) -> ValueError:
    """The bundles' own error for an option of a request, an ``InputError``."""
    from transmodal.errors import InputError  # comes with the bundles, which are found after this module is imported

    return InputError(f"option {option}", found=found, wanted=wanted, remedy=remedy)


def refusal_in(error: Exception) -> ValueError | None:
    """The bundle's own words for bad input, which MONAI may have wrapped, if that is what went wrong."""
    from transmodal.errors import InputError

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__
    return cause
