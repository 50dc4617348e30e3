"""What a training shows while it runs: a progress bar with the current losses, and their means over an epoch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from ignite.engine import Events
from ignite.handlers import ProgressBar
from monai.engines.workflow import Workflow

from transmodal.engines.alternating import named_losses
from transmodal.errors import InputError

Losses = Callable[[Any], dict[str, float]]


def phase_totals(output: Mapping[str, float]) -> dict[str, float]:
    """The sum of each phase's terms, from the ``<phase>/<term>`` of an `AlternatingTrainer`."""
    totals: defaultdict[str, float] = defaultdict(float)
    for name, value in output.items():
        totals[name.split("/", 1)[0]] += value
    return dict(totals)


def supervised_loss(output: Mapping[str, Any]) -> dict[str, float]:
    """The loss of a MONAI ``SupervisedTrainer`` whose output is not decollated, by name.

    Raises:
        InputError: if it is not finite: a training that goes on from there learns nothing.
    """
    loss = float(torch.as_tensor(output["loss"]).detach())
    if not math.isfinite(loss):
        raise InputError(
            "training loss",
            found=str(loss),
            wanted="a finite loss",
            remedy="lower the learning rate or switch amp off, then resume from the last epoch",
        )
    return {"loss": loss}


class LossProgressBar(ProgressBar):
    """ignite's progress bar with the losses beside it, on rank 0 only, and only where somebody watches.

    ignite takes the function that finds the losses at ``attach``, where a configuration cannot give it.

    Args:
        output_transform: makes named numbers of the engine's output; the default is each phase's total of an
            `AlternatingTrainer`.
        tqdm_arguments: ``persist``, ``bar_format`` and any argument of ``tqdm``; no bar goes to files.
    """

    def __init__(self, output_transform: Losses = phase_totals, **tqdm_arguments: Any) -> None:
        super().__init__(**{"disable": None, **tqdm_arguments})
        self.output_transform = output_transform

    def attach(self, engine: Workflow, **arguments: Any) -> None:  # type: ignore[override]
        """Show the bar on rank 0; ``arguments`` are those of ignite."""
        if getattr(engine.state, "rank", 0) == 0:
            super().attach(engine, **{"output_transform": self.output_transform, **arguments})


class EpochLosses:
    """Puts each loss's mean over the epoch into ``engine.state.metrics`` as ``epoch/<name>``.

    There MONAI's ``StatsHandler`` prints it once an epoch and ``TensorBoardStatsHandler`` plots it; list this handler
    before them.

    Args:
        output_transform: makes named numbers of the engine's output; the default is for `AlternatingTrainer`.
    """

    def __init__(self, output_transform: Losses = named_losses) -> None:
        self.output_transform = output_transform
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def attach(self, engine: Workflow) -> None:
        """Collect in each iteration, average at the end of the epoch."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda engine: self._values.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._average)

    def _collect(self, engine: Workflow) -> None:
        for name, value in self.output_transform(engine.state.output).items():
            self._values[name].append(float(value))

    def _average(self, engine: Workflow) -> None:
        for name, values in self._values.items():
            engine.state.metrics[f"epoch/{name}"] = sum(values) / len(values)
