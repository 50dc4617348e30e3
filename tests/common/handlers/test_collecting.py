"""What is collected over a run, by whom, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ignite.engine import Engine

from transmodal.handlers import Collecting, by_case


class Doubled(Collecting[dict[str, int]]):
    """Twice the number of each case; keeps what the processes found."""

    def _nothing(self) -> dict[str, int]:
        return {}

    def _collect(self, engine: Engine) -> None:
        case, number = engine.state.batch
        self._findings[case] = 2 * number

    def _finish(self, engine: Engine, shares: Sequence[dict[str, int]]) -> None:
        self.shares = list(shares)


def run(collecting: Doubled, *batches: tuple[str, int]) -> list[dict[str, int]]:
    engine = Engine(lambda engine, batch: None)
    collecting.attach(engine)
    engine.run(batches)
    return collecting.shares


def test_every_iteration_is_collected_before_the_end() -> None:
    assert run(Doubled(), ("b", 1), ("a", 2)) == [{"b": 2, "a": 4}]


def test_a_second_run_begins_with_nothing() -> None:
    engine, collecting = Engine(lambda engine, batch: None), Doubled()
    collecting.attach(engine)
    engine.run([("a", 1)])
    engine.run([("b", 2)])
    assert collecting.shares == [{"b": 4}]


def test_all_processes_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transmodal.handlers.collecting.gathered", lambda own: [own, {"c": 9}])
    assert run(Doubled(), ("a", 1)) == [{"a": 2}, {"c": 9}]


def test_cases_of_all_processes_come_in_order_and_once() -> None:
    assert list(by_case([{"c": 1, "a": 1}, {"b": 2, "a": 2}]).items()) == [("a", 2), ("b", 2), ("c", 1)]
