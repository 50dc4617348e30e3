"""How far a translation is: calls of the networks that were made, of those that will be made.

An inferer that knows beforehand how often it will call which network says so by a method ``calls(shape, network)``, for
inputs of that shape; whoever wants to tell a user how far it is wraps it in a :class:`ProgressInferer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from monai.inferers import Inferer, SimpleInferer
from torch import Tensor, nn

__all__ = ["Calls", "ProgressInferer", "calls_of"]

Calls = Counter[nn.Module]
"""Networks, or parts of one, to how often each will be called."""


def calls_of(inferer: Inferer, shape: Sequence[int], network: nn.Module) -> Calls:
    """How often an inferer will call which network.

    Args:
        inferer: what will be called as ``inferer(inputs, network)``.
        shape: of these inputs.
        network: that will be handed over.
    Returns:
        A count for each network that is called; empty if the inferer does not tell.
    """
    if isinstance(inferer, SimpleInferer):
        return Counter({network: 1})
    tell: Callable[[Sequence[int], nn.Module], Calls] | None = getattr(inferer, "calls", None)
    return Counter() if tell is None else tell(shape, network)


class ProgressInferer(Inferer):
    """Translate by another inferer, and tell after each call of a network how far it is.

    Args:
        inferer: what translates; its result is handed on as it is.
        tell: gets the number of calls that were made, from 0 on, and the number of all, 0 if the inferer does not know.
    """

    def __init__(self, inferer: Inferer, tell: Callable[[int, int], object]) -> None:
        self.inferer, self.tell = inferer, tell

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """What ``inferer`` makes of ``inputs``; of a network that is no module no calls are told."""
        if not isinstance(network, nn.Module):
            return cast(Tensor, self.inferer(inputs, network, *args, **kwargs))
        calls = calls_of(self.inferer, tuple(inputs.shape), network)
        made, total = 0, calls.total()

        def count(*_: object) -> None:
            nonlocal made
            made += 1
            self.tell(made, max(made, total) if total else 0)

        self.tell(0, total)
        handles = [module.register_forward_hook(count) for module in calls or (network,)]
        try:
            translated: Tensor = self.inferer(inputs, network, *args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
        return translated
