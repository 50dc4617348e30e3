"""One thing at a time, where several threads read and change the same list."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any


def in_turns(kind: type, methods: Iterable[str]) -> type:
    """A subclass whose named methods wait for each other, also where they are called from elsewhere in the class."""

    class InTurns(kind):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._turn = threading.RLock()
            super().__init__(*arguments, **options)

    for name in methods:
        setattr(InTurns, name, _waiting(getattr(kind, name)))
    return InTurns


def _waiting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def called(self: Any, *arguments: Any, **options: Any) -> Any:
        with self._turn:
            return method(self, *arguments, **options)

    return called
