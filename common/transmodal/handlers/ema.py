"""The exponential moving average of a network's weights (Polyak and Juditsky 1992; decay as in Song and Ermon 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from transmodal.errors import InputError, require_flag
from transmodal.handlers.weights import unwrapped


class EMAHandler:
    """Keeps ``average``, a network of its own, at the moving average of ``network``; attach it to the trainer.

    After each iteration every parameter becomes ``decay * average + (1 - decay) * network``; buffers are copied. The
    average starts as a copy of the network as it is when training starts. The validator and the handler that saves
    weights are given ``average``.

    For a resumed training, name ``average`` in the ``state`` of `transmodal.handlers.Resume`, and with ``warmup`` this
    handler too, whose count of updates the decay then depends on.

    Args:
        network: what is trained, wrapped for distributed training or not.
        average: a plain network of the same architecture on the same device, such as ``copy.deepcopy(network)``.
        decay: in [0, 1).
        warmup: lower the decay to (1 + n) / (10 + n) at the n-th update while that is smaller, so that a short training
            is not dominated by its beginning.
    """

    def __init__(self, network: nn.Module, average: nn.Module, decay: float = 0.999, warmup: bool = False) -> None:
        if isinstance(decay, str | bool) or not 0 <= decay < 1:
            raise InputError(
                "EMAHandler, decay", found=repr(decay), wanted="a number in [0, 1)", remedy="0.999 is the usual value"
            )
        require_flag("EMAHandler, warmup", warmup)
        self.network, self.average = unwrapped(network), average.requires_grad_(False).eval()
        self.decay, self.warmup = decay, warmup
        self.updates = 0
        _check_same_architecture(self.network, self.average)

    def attach(self, engine: Workflow) -> None:
        """Copy the network when training starts, then follow it after each iteration."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._update)

    @torch.no_grad()
    def _begin(self, engine: Workflow) -> None:
        if self.updates == 0 and engine.state.iteration == 0:
            self.average.load_state_dict(self.network.state_dict())

    @torch.no_grad()
    def _update(self, engine: Workflow) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        follow(tuple(self.average.parameters()), tuple(self.network.parameters()), self.updates)
        for held, current in zip(self.average.buffers(), self.network.buffers(), strict=True):
            held.copy_(current)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """How many updates were made; the averaged weights are the network ``average`` itself."""
        return {"updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue to count, so that a resumed training does not start the average anew."""
        self.updates = state["updates"]


def _check_same_architecture(network: nn.Module, average: nn.Module) -> None:
    if average is network or {*map(id, average.parameters())} & {*map(id, network.parameters())}:
        found = "weights that both share"
    elif {k: v.shape for k, v in network.state_dict().items()} != {k: v.shape for k, v in average.state_dict().items()}:
        found = f"{type(average).__name__} with other weights than {type(network).__name__}"
    else:
        return
    raise InputError(
        "EMAHandler, average",
        found=found,
        wanted="a separate network of the same architecture",
        remedy='write "$copy.deepcopy(@network)", or instantiate @network_def once more',
    )
