"""Average the translations of one volume by slices of several planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from monai.inferers import Inferer
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.inferers.progress import Calls, calls_of

__all__ = ["PlaneAverage"]


class PlaneAverage(Inferer):
    """Translate a volume once with each inferer, as a rule slice by slice along each axis, and average.

    A network that sees single slices makes each plane smooth in itself and leaves steps across it; the mean of several
    planes has fewer of them. Channels of standard deviation are averaged like the others, which bounds the deviation of
    the average from above. A picture (B, C, H, W) has one plane only and goes through the first inferer alone.

    Args:
        inferers: one or more, such as a :class:`~transmodal.inferers.SliceWiseInferer` for each axis.
    Raises:
        InputError: if there is no inferer.
    """

    def __init__(self, inferers: Sequence[Inferer]) -> None:
        self.inferers = list(inferers)
        if not self.inferers:
            raise InputError(
                "PlaneAverage, inferers",
                found="an empty list",
                wanted="an inferer for each plane",
                remedy="list a SliceWiseInferer for each axis that is to be averaged",
            )

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Translate volumes (B, C, H, W, D), or pictures (B, C, H, W), with ``network`` by each inferer."""
        inferers = self.inferers[:1] if inputs.ndim == 4 else self.inferers
        total: Tensor = inferers[0](inputs, network, *args, **kwargs)
        for inferer in inferers[1:]:
            total = total + inferer(inputs, network, *args, **kwargs)
        return total / len(inferers)

    def calls(self, shape: Sequence[int], network: nn.Module) -> Calls:
        """Those of all inferers; of a picture those of the first."""
        inferers = self.inferers[:1] if len(shape) == 4 else self.inferers
        total = Calls()
        for inferer in inferers:
            total += calls_of(inferer, shape, network)
        return total
