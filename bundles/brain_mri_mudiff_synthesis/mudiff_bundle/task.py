"""What a network was trained to make, from what and in how many steps, kept among its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transmodal.errors import InputError
from transmodal.networks import Task


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


class TranslationTask(Task):
    """Sources in their order, target and number of steps, as one buffer that is saved and loaded with the weights.

    Args:
        sources: contrasts in the order of the channels.
        target: contrast that is made.
        num_timesteps: diffusion steps T.
    Raises:
        InputError: if names repeat or are empty, or the description is too long.
    """

    def __init__(self, sources: Sequence[str], target: str, num_timesteps: int) -> None:
        names = [] if isinstance(sources, str) else [*sources, target]
        if not 2 <= len(set(names)) == len(names) or not all(isinstance(name, str) and name for name in names):
            raise InputError(
                "TranslationTask",
                found=f"sources {sources!r} and target {target!r}",
                wanted="at least one source, and a different name for each contrast",
                remedy="list sources in the order of the channels, such as ['flair', 't2', 't1'], and name a target",
            )
        super().__init__(
            f"{'+'.join(sources)} to {target}, T={num_timesteps}",
            remedy="set --target, --sources and --num_timesteps as in the training that made the weights",
        )
