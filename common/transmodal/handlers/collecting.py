"""What an evaluation collects over a run, and has from all processes at its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from ignite.engine import Engine, Events

from transmodal.handlers.records import gathered

__all__ = ["Collecting", "by_case"]

Share = TypeVar("Share")
Value = TypeVar("Value")


class Collecting(ABC, Generic[Share]):
    """Collects findings after each iteration of an engine; when the run is complete, processes exchange theirs.

    A handler says what a run begins with, what it takes from an iteration into ``_findings``, and what is done in the
    end. Its ``_nothing`` is already called by this class's ``__init__``. Attach it to the engine, in distributed
    evaluation on every rank.
    """

    def __init__(self) -> None:
        self._findings = self._nothing()

    def attach(self, engine: Engine) -> None:
        """Collect after each iteration, finish when the run is complete."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._complete)

    @abstractmethod
    def _nothing(self) -> Share:
        """What a run begins with; it can be pickled, for the exchange."""

    @abstractmethod
    def _collect(self, engine: Engine) -> None:
        """Take what the iteration just completed has to tell."""

    @abstractmethod
    def _finish(self, engine: Engine, shares: Sequence[Share]) -> None:
        """Make something of what the processes found, in the order of ranks; it is called on all of them."""

    def _start(self, engine: Engine) -> None:
        self._findings = self._nothing()

    def _complete(self, engine: Engine) -> None:
        self._finish(engine, gathered(self._findings))


def by_case(shares: Sequence[Mapping[Any, Value]]) -> dict[Any, Value]:
    """All processes' findings in the order of cases; a case that a distributed sampler repeats counts once."""
    merged = {case: found for share in shares for case, found in share.items()}
    return {case: merged[case] for case in sorted(merged)}
