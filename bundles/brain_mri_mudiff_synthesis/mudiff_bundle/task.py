"""What a network was trained to make, from what and in how many steps, kept among its weights.

None of it shows in the weights' shapes: weights for another order of the sources, another target or another number of
steps would load without a word and be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from transmodal.errors import InputError

LENGTH = 128
"""Bytes of the text that describes a task."""


def sources_for(target: str, orders: Mapping[str, Sequence[str]]) -> list[str]:
    """The sources from which a target is made, in the order of the channels.

    Args:
        target: contrast that is made.
        orders: sources of each target.
    Raises:
        InputError: if ``orders`` has none for the target.
    """
    if target not in orders:
        raise InputError(
            "configuration id 'orders'",
            found=f"no sources for the target {target!r}",
            wanted=f"sources for {target!r}; there are some for {', '.join(orders)}",
            remedy="correct --target, give its sources with --sources, or use the overlay of its data set",
        )
    return [*orders[target]]


class TranslationTask(nn.Module):
    """Sources in their order, target and number of steps, as one buffer that is saved and loaded with the weights.

    Loading the weights of another task is refused; what the two tasks are stands in the error.

    Args:
        sources: contrasts in the order of the channels.
        target: contrast that is made.
        num_timesteps: diffusion steps T.
    Raises:
        InputError: if names repeat or are empty, or the description is too long.
    """

    def __init__(self, sources: Sequence[str], target: str, num_timesteps: int) -> None:
        super().__init__()
        names = [] if isinstance(sources, str) else [*sources, target]
        if not 2 <= len(set(names)) == len(names) or not all(isinstance(name, str) and name for name in names):
            raise InputError(
                "TranslationTask",
                found=f"sources {sources!r} and target {target!r}",
                wanted="at least one source, and a different name for each contrast",
                remedy="list sources in the order of the channels, such as ['flair', 't2', 't1'], and name a target",
            )
        text = f"{'+'.join(sources)} to {target}, T={num_timesteps}"
        if len(text.encode()) > LENGTH:
            raise InputError(
                "TranslationTask", found=text, wanted=f"at most {LENGTH} bytes", remedy="give the contrasts short names"
            )
        padded = text.encode().ljust(LENGTH)
        self.register_buffer("description", torch.frombuffer(bytearray(padded), dtype=torch.uint8).clone())

    def __str__(self) -> str:
        return _read(self.description)

    def extra_repr(self) -> str:
        """The task in words, for ``print(network)``."""
        return _read(self.description)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:  # the one place that every way of loading weights passes through
        given = state_dict.get(f"{prefix}description")
        if isinstance(given, Tensor) and given.shape == self.description.shape:
            theirs = _read(given)
            if theirs != str(self):
                raise InputError(
                    "weights",
                    found=f"a network for {theirs}",
                    wanted=f"one for {self}, as the configuration says",
                    remedy="set --target, --sources and --num_timesteps as in the training that made the weights",
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _read(description: Tensor) -> str:
    return bytes(description.to("cpu", torch.uint8).tolist()).decode(errors="replace").strip()
