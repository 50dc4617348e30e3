"""How large the parts are that the stages train on."""

from __future__ import annotations

from collections.abc import Sequence

from transmodal.errors import InputError

__all__ = ["fraction_of"]


def fraction_of(size: Sequence[int], fraction: float, multiple: int = 1) -> list[int]:
    """The size of a crop, as published: a quarter of each axis of a slice, half of each axis of a volume.

    Args:
        size: of the whole, in pixels or voxels.
        fraction: of each axis, above 0 and at most 1.
        multiple: what the crop is to be divisible by; it is rounded down, but to no less than this.
    Raises:
        InputError: if the fraction or the multiple is out of range.
    """
    wrong_multiple = isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1
    if isinstance(fraction, str | bool) or not 0 < fraction <= 1 or wrong_multiple:
        raise InputError(
            "size of the training crops",
            found=f"the fraction {fraction!r} and the multiple {multiple!r}",
            wanted="a fraction above 0 and at most 1, and an integer of 1 or more",
            remedy="a quarter of a slice and half of a volume are as published",
        )
    return [max(multiple, int(length * fraction) // multiple * multiple) for length in size]
