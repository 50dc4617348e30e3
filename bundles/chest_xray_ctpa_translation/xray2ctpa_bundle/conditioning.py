"""What a denoiser is told about the radiograph, whichever encoder made it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Condition(NamedTuple):
    """A batch of encoded radiographs; a denoiser takes the parts that it uses.

    Attributes:
        embedding: one vector for the whole radiograph, (B, E).
        tokens: one vector per patch of it, (B, N, C), patches row by row from the top left (patient's upper right).
        plane: a feature map in the radiograph's own geometry, (B, P, h, w): rows run head to feet, columns from the
            patient's right to the left, over the whole square picture.
    """

    embedding: Tensor
    tokens: Tensor
    plane: Tensor
