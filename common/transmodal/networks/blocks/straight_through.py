"""Codes that are looked up, with a gradient: A. van den Oord et al., Neural discrete representation learning, 2017."""

from __future__ import annotations

from torch import Tensor

__all__ = ["straight_through"]


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """The values of ``codes`` with a gradient to ``z`` as if those were its own.

    Args:
        z, codes: of one shape, (B, E, ...).
    """
    return z + (codes - z).detach()
