"""Translate volumes with a network that sees slices: batches of slices, any axis, constant memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from transmodal.errors import InputError, require_flag, require_integer
from transmodal.inferers.images import with_metadata_of
from transmodal.inferers.progress import Calls, calls_of
from transmodal.tensors import without_metadata

__all__ = ["NumberedInferer", "SliceWiseInferer", "TargetInferer"]


class TargetInferer(Inferer):
    """Call a network that makes several modalities, asking for one of them.

    The direction is passed at each call and never baked into the network, because MONAI Label keeps a network between
    requests and reads everything else anew.

    Args:
        target: modality to make.
    """

    def __init__(self, target: str) -> None:
        self.target = target

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Translate ``inputs`` (B, C, H, W[, D]) in [-1, 1] to the target modality, same size and range."""
        translated: Tensor = network(inputs, *args, target=self.target, **kwargs)
        return translated

    def calls(self, shape: Sequence[int], network: nn.Module) -> Calls:
        """One, whatever the shape."""
        return Calls({network: 1})


class NumberedInferer(Inferer):
    """A slice inferer that wants to know which slices of a volume it gets, for instance to draw noise for each."""

    @abstractmethod
    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *args: Any,
        numbers: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Translate slices (N, C, H, W), whose numbers in their volume are ``numbers``; 0 to N - 1 if not given."""


class SliceWiseInferer(Inferer):
    """Apply a slice inferer along one axis of a volume.

    Only one batch of slices is on the network's device at a time, so memory there does not grow with the volume.
    A slice may change its channels but not its size. A picture (B, C, H, W) is passed on as it is. Further arguments
    are not: MONAI Deploy hands over every tensor beside the image, such as the body mask of the whole volume.

    Args:
        inferer: what translates slices (N, C, H, W). A :class:`NumberedInferer` also gets their numbers along the axis,
            counted from 0 in each volume; those of pictures are their places in the batch.
        axis: spatial axis that numbers the slices: 0, 1 or 2 (2 is axial after orientation to RAS).
        batch_size: slices translated together.
        amp: run the network under bfloat16 autocast; results come back in float32.
        channels_last: hand slices over in channels-last memory, the layout that convolutions prefer on most hardware.
            The weights of a module that work on slices, those of four dimensions, are laid out so too, and stay so:
            with one channel a slice has no layout of its own, and it is the weights that decide.
    Raises:
        InputError: if ``axis`` or ``batch_size`` is out of range, or a flag arrives as a string, as ``--amp true`` on a
            command line does.
    """

    def __init__(
        self, inferer: Inferer, axis: int = 2, batch_size: int = 16, amp: bool = False, channels_last: bool = False
    ) -> None:
        if isinstance(axis, bool) or axis not in (0, 1, 2):
            raise InputError(
                "SliceWiseInferer, axis",
                found=repr(axis),
                wanted="0, 1 or 2",
                remedy="give the spatial axis that numbers the slices, 2 for axial ones after orientation to RAS",
            )
        require_integer("SliceWiseInferer, batch_size", batch_size, 1, "give the number of slices at a time")
        for name, flag in (("amp", amp), ("channels_last", channels_last)):
            require_flag(
                f"SliceWiseInferer, {name}", flag, f"write --{name} True or --{name} False, with a capital letter"
            )
        self.inferer, self.axis, self.batch_size, self.amp, self.channels_last = (
            inferer,
            axis,
            batch_size,
            amp,
            channels_last,
        )

    @torch.no_grad()
    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Translate a batch of volumes (B, C, H, W, D), or of pictures (B, C, H, W), in [-1, 1]."""
        plain = without_metadata(inputs)
        if self.channels_last and isinstance(network, nn.Module):
            _lay_out_channels_last(network)
        if plain.ndim == 4:
            return with_metadata_of(inputs, self._translate(plain, network, range(len(plain))))
        axis = self.axis + 2
        slices = plain.movedim(axis, 1).flatten(0, 1)
        translated: Tensor | None = None
        for start in range(0, len(slices), self.batch_size):
            chosen = slices[start : start + self.batch_size]
            numbers = [position % plain.shape[axis] for position in range(start, start + len(chosen))]
            batch = self._translate(chosen, network, numbers)
            if translated is None:
                translated = plain.new_empty((len(slices), *batch.shape[1:]), dtype=torch.float32)
            translated[start : start + len(batch)] = batch
        if translated is None:
            raise ValueError(f"a volume of shape {tuple(inputs.shape)} has no slices along axis {self.axis}")
        return with_metadata_of(inputs, translated.reshape(inputs.shape[0], -1, *translated.shape[1:]).movedim(1, axis))

    def calls(self, shape: Sequence[int], network: nn.Module) -> Calls:
        """As often as its inferer does for each batch of slices."""
        if len(shape) == 4:
            return calls_of(self.inferer, shape, network)
        slices = shape[0] * shape[self.axis + 2]
        plane = [shape[1], *(size for axis, size in enumerate(shape[2:]) if axis != self.axis)]
        total = Calls()
        for start in range(0, slices, self.batch_size):
            total += calls_of(self.inferer, (min(self.batch_size, slices - start), *plane), network)
        return total

    def _translate(self, slices: Tensor, network: Callable[..., Tensor], numbers: Sequence[int]) -> Tensor:
        device = _device_of(network, slices.device)
        slices = slices.to(device)
        if self.channels_last:
            slices = slices.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.amp):
            if isinstance(self.inferer, NumberedInferer):
                translated = self.inferer(slices, network, numbers=numbers)
            else:
                translated = self.inferer(slices, network)
        return translated.float()


def _lay_out_channels_last(network: nn.Module) -> None:
    """Lay out the weights of slices in place; those of volumes, which ``Module.to`` would fail at, stay as they are."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def _device_of(network: Callable[..., Tensor], default: torch.device) -> torch.device:
    parameter = next(network.parameters(), None) if isinstance(network, nn.Module) else None
    return default if parameter is None else parameter.device
