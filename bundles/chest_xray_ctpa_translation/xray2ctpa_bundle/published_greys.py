"""Grey levels of radiographs as the published code reads them, for what it reads and for what it does not."""

from __future__ import annotations

from torch import Tensor

from transmodal.transforms import IntensityWindow

__all__ = ["PublishedGreys"]

WHITE = 255.0
"""Of an 8-bit picture."""


class PublishedGreys(IntensityWindow):
    """Black to white: 0 to 255 in an 8-bit picture, 0 to the brightest pixel in any other.

    The published code divides 8-bit pictures by 255, those of DICOM files by their maximum, and reads no others. Which
    one a picture is, its values tell: from 0 to 255 are 8 bits, unless none is above 2 (a share of white). So a DRR is
    scaled as one where it nowhere exceeds 255 mm of water. What has negative values begins at the lowest.
    """

    def __init__(self) -> None:
        super().__init__(0.0, WHITE)

    def bounds(self, image: Tensor, mask: Tensor | None = None) -> tuple[float, float]:
        """What becomes -1 and 1 in this picture, whatever the mask."""
        lowest, highest = float(image.min()), float(image.max())
        if lowest > -0.5 and 2 < highest < WHITE + 0.5:  # resampling may leave the range by a rounding error
            return self.low, self.high
        low = min(lowest, 0.0)
        return low, max(highest, low + 1e-6)

    def scale(self, image: Tensor, mask: Tensor | None = None) -> Tensor:
        """Grey levels to [-1, 1]; any shape, floating point."""
        return IntensityWindow(*self.bounds(image, mask)).scale(image)
