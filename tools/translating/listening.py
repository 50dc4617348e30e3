"""Who is told how far a translation is while it is made."""

from __future__ import annotations

from typing import Protocol

from monai.bundle import ConfigWorkflow

from transmodal.inferers import ProgressInferer

__all__ = ["Listener", "Nobody", "watch"]


class Listener(Protocol):
    """What wants to know."""

    def stage(self, name: str) -> None:
        """Something else is being done now: ``reading``, ``translating``, ``checking`` or ``writing``."""

    def steps(self, made: int, total: int) -> None:
        """So many calls of the network were made, of so many in all, or of an unknown number if that is 0."""


class Nobody:
    """Nobody wants to know."""

    def stage(self, name: str) -> None:
        """Nothing."""

    def steps(self, made: int, total: int) -> None:
        """Nothing."""


def watch(workflow: ConfigWorkflow, listener: Listener) -> None:
    """Have an initialized inference of one case tell its calls of the network to a listener."""
    evaluator = workflow.parser.get_parsed_content("evaluator")
    evaluator.inferer = ProgressInferer(evaluator.inferer, listener.steps)
