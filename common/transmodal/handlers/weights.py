"""Who writes ``models/model.pt``: the best weights by a validation metric, or the last."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import nn

from transmodal.checkpoints import save_weights
from transmodal.errors import InputError, require_flag, require_integer

logger = logging.getLogger(__name__)


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside ``DistributedDataParallel``, ``DataParallel`` and ``torch.compile`` wrappers."""
    while True:
        if isinstance(network, nn.parallel.DistributedDataParallel | nn.DataParallel):
            network = network.module
        elif hasattr(network, "_orig_mod"):  # what torch.compile returns
            network = network._orig_mod  # type: ignore[assignment]
        else:
            return network


class BestWeights:
    """Writes the network's weights whenever a validation metric improves; attach it to the validator.

    The best value is part of a resumed training (name this handler in the ``state`` of `transmodal.handlers.Resume`),
    so a resumed run never replaces better weights. In distributed training attach it on every rank; rank 0 writes.

    Args:
        network: what to save, such as the network that the validator runs.
        path: the file, usually ``models/model.pt``.
        metric: a name in the validator's ``state.metrics``.
        larger_is_better: false for errors such as MAE, true for scores such as SSIM.
    """

    def __init__(self, network: nn.Module, path: str | Path, metric: str, larger_is_better: bool = False) -> None:
        require_flag(
            "BestWeights, larger_is_better",
            larger_is_better,
            "write false for errors such as MAE and true for scores such as SSIM",
        )
        self.network, self.path, self.metric, self.larger_is_better = network, Path(path), metric, larger_is_better
        self.best: float | None = None
        self.epoch: int | None = None

    def attach(self, engine: Workflow) -> None:
        """Compare at the end of each run of the validator, when all its metrics are there."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Save if this validation was the best so far; a value that is not finite never is."""
        value, epoch = self._value(engine), engine.state.epoch
        if not math.isfinite(value):
            logger.warning("%s is %s in epoch %s; %s stays as it is", self.metric, value, epoch, self.path)
            return
        if self.best is not None and (value <= self.best if self.larger_is_better else value >= self.best):
            logger.info(
                "%s is %.6g in epoch %s; still best: %.6g in epoch %s", self.metric, value, epoch, self.best, self.epoch
            )
            return
        self.best, self.epoch = value, epoch
        if engine.state.rank == 0:
            self.write()
            logger.info(
                "%s is %.6g in epoch %s, the best so far; weights saved to %s", self.metric, value, epoch, self.path
            )

    def write(self) -> None:
        """Write the network's weights; a subclass may write what it keeps of them."""
        save_weights(unwrapped(self.network).state_dict(), self.path)

    def _value(self, engine: Workflow) -> float:
        metrics = engine.state.metrics
        try:
            return float(metrics[self.metric])
        except (KeyError, TypeError, ValueError, RuntimeError):
            found = repr(metrics[self.metric]) if self.metric in metrics else f"the metrics {sorted(metrics)}"
            raise InputError(
                f"BestWeights, metric '{self.metric}'",
                found=found,
                wanted="one number among the validator's metrics",
                remedy="name one of the validator's key_val_metric or additional_metrics",
            ) from None

    def state_dict(self) -> dict[str, Any]:
        """The best value so far and its epoch."""
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue to defend the best value, unless the weights it belongs to are gone."""
        self.best, self.epoch = state["best"], state["epoch"]
        if self.best is not None and not self.path.is_file():
            logger.warning("%s of epoch %s is gone; the next validation writes it anew", self.path, self.epoch)
            self.best = self.epoch = None


class LastWeights:
    """Writes the network's weights at the end of epochs; attach it to the trainer when nothing can be validated.

    A training that was finished before, and is only resumed, writes them if their file is gone.

    Args:
        network: what to save.
        path: the file, usually ``models/model.pt``.
        interval: write each time so many epochs are complete, and at the end of the training.
    """

    def __init__(self, network: nn.Module, path: str | Path, interval: int = 1) -> None:
        require_integer("LastWeights, interval", interval, 1, "give a number of epochs")
        self.network, self.path, self.interval = network, Path(path), interval

    def attach(self, engine: Workflow) -> None:
        """Write at the end of epochs."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._replace)

    def __call__(self, engine: Workflow) -> None:
        """Save if this epoch is due."""
        state = engine.state
        if state.rank == 0 and (state.epoch % self.interval == 0 or state.epoch == state.max_epochs):
            self._save(state.epoch)

    def _replace(self, engine: Workflow) -> None:
        state = engine.state
        if state.rank == 0 and state.epoch >= state.max_epochs and not self.path.is_file():
            self._save(state.epoch)

    def write(self) -> None:
        """Write the network's weights; a subclass may write what it keeps of them."""
        save_weights(unwrapped(self.network).state_dict(), self.path)

    def _save(self, epoch: int) -> None:
        self.write()
        logger.info("weights of epoch %s saved to %s", epoch, self.path)


def check_written(engine: Workflow, handlers: Iterable[object], training: str | Path) -> None:
    """At the end of a training that was finished before and only resumed: are there weights?

    Args:
        engine: the trainer; rank 0 looks.
        handlers: each :class:`BestWeights` among them is asked for its file. :class:`LastWeights` may have written it.
        training: the file of the finished training, for the error.
    Raises:
        InputError: if a file is missing, since nothing will be validated that could write it.
    """
    lost = [str(item.path) for item in handlers if isinstance(item, BestWeights) and not item.path.is_file()]
    if lost and engine.state.rank == 0:
        raise InputError(
            ", ".join(lost),
            found=f"no file, though {training} is of a finished training, which validates no more",
            wanted="the weights of its best validation",
            remedy=f"raise max_epochs, the next validation then writes weights; or remove {training} to start anew",
        )
