"""What a network was trained for, kept among its weights.

Which modality is which, or how many steps a sampler takes, shows in no shape of the weights: those of another task
would load without a word and be wrong.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from transmodal.errors import InputError

LENGTH = 128
"""Bytes of the text that describes a task."""


class Task(nn.Module):
    """A description in words, as one buffer that is saved and loaded with the weights.

    Loading weights of another description is refused; both stand in the error.

    Args:
        text: what the network is for, such as ``"flair+t2 to t1, T=4"``.
        remedy: what to do about weights for something else, for the error.
    Raises:
        InputError: if the text is longer than ``LENGTH`` bytes.
    """

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__()
        self.remedy = remedy
        if len(text.encode()) > LENGTH:
            raise InputError(
                type(self).__name__, found=text, wanted=f"at most {LENGTH} bytes", remedy="give shorter names"
            )
        padded = text.encode().ljust(LENGTH)
        self.register_buffer("description", torch.frombuffer(bytearray(padded), dtype=torch.uint8).clone())

    def __str__(self) -> str:
        return _read(self.get_buffer("description"))

    def extra_repr(self) -> str:
        """The task in words, for ``print(network)``."""
        return _read(self.get_buffer("description"))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:  # the one place that every way of loading weights passes through
        given = state_dict.get(f"{prefix}description")
        if isinstance(given, Tensor) and given.shape == self.get_buffer("description").shape:
            theirs = _read(given)
            if theirs != str(self):
                raise InputError(
                    "weights",
                    found=f"a network for {theirs}",
                    wanted=f"one for {self}, as the configuration says",
                    remedy=self.remedy,
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _read(description: Tensor) -> str:
    return bytes(description.to("cpu", torch.uint8).tolist()).decode(errors="replace").strip()
