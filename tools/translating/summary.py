"""What became of every case: a line when it is done, and the list at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from translating.inputs import LeftOut

__all__ = ["Outcome", "line_of", "report", "status_of"]

Status = Literal["translated", "finished before", "left out", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Args:
        case: its name.
        status: what became of it.
        text: what was made, or why nothing was.
        warnings: what to be wary of.
        seconds: how long it took.
        notes: what is good to know, and nothing to be wary of.
        limits: of the weights that come with the project, where it is they that translate.
        traceback: file with the traceback, where it failed by an error of a program.
    """

    case: str
    status: Status
    text: str
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    limits: str = ""
    traceback: str = ""

    @property
    def full_text(self) -> str:
        """The text, and where there is more to it."""
        return f"{self.text}\n  Traceback: {self.traceback}" if self.traceback else self.text


def line_of(outcome: Outcome, number: int, total: int) -> str:
    """The lines of one case, as it is done."""
    took = f" ({outcome.seconds:.1f} s)" if outcome.status == "translated" else ""
    first = f"[{number}/{total}] {outcome.case}: {outcome.status}{took}: {outcome.full_text}"
    told = [*(f"  warning: {each}" for each in outcome.warnings), *(f"  note: {each}" for each in outcome.notes)]
    return "\n".join([first, *told])


def report(outcomes: Sequence[Outcome], left_out: Sequence[LeftOut] = ()) -> str:
    """Counts, then everything left out or failed with its reason."""
    counts = {status: [each for each in outcomes if each.status == status] for status in _order()}
    parts = [f"{len(found)} {status}" for status, found in counts.items() if found]
    wary = sum(bool(each.warnings) for each in outcomes)
    lines = [f"{len(outcomes)} case{'s' * (len(outcomes) != 1)}: {', '.join(parts)}; {wary} with warnings"]
    aside = [(each.case, each.text) for each in counts["left out"]] + [(each.where, each.reason) for each in left_out]
    lines += ["left out:", *(f"  {where}: {reason}" for where, reason in aside)] if aside else []
    failed = counts["failed"]
    lines += ["failed:", *(f"  {each.case}: {each.full_text}" for each in failed)] if failed else []
    return "\n".join(lines)


def status_of(outcomes: Sequence[Outcome]) -> int:
    """Exit status: 0 if no case failed and at least one is there, translated now or before; else 1."""
    there = any(each.status in ("translated", "finished before") for each in outcomes)
    return int(not there or any(each.status == "failed" for each in outcomes))


def _order() -> tuple[Status, ...]:
    return ("translated", "finished before", "left out", "failed")
