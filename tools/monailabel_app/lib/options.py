"""What a client may choose at each request: the direction, and the numbers that a bundle's sampler takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from .refusals import refusal

DIRECTION, RESULT = "direction", "result"
RESULTS = ("translation", "uncertainty")
LEAST = {"seed": 0, "num_samples": 1, "num_steps": 1}
"""Numbers that are offered where a bundle has an id of that name, with the least that makes sense."""
MOST = {"seed": 2**31 - 1, "num_samples": 100, "num_steps": 1000}


@dataclass(frozen=True)
class Options:
    """The choices that one bundle offers.

    Args:
        directions: pairs of source and target, the bundle's default first; none where there is nothing to choose.
        numbers: id to default.
        most: id to the largest value.
        uncertain: whether the spread of several samples can be had as an image.
    """

    directions: tuple[tuple[str, str], ...]
    numbers: Mapping[str, int]
    most: Mapping[str, int]
    uncertain: bool

    @classmethod
    def of(cls, config: Mapping[str, Any], metadata: Mapping[str, Any]) -> Options:
        """Read what there is to choose off a bundle's inference config and metadata."""
        directions = _directions(config, metadata)
        numbers = {key: config[key] for key in LEAST if type(config.get(key)) is int}
        steps = config.get("num_timesteps")
        return cls(
            directions=directions if len(directions) > 1 else (),
            numbers=numbers,
            most={**MOST, "num_steps": steps if type(steps) is int else MOST["num_steps"]},
            uncertain="num_samples" in numbers and "pred_std" in json.dumps(config),
        )

    def displayed(self) -> dict[str, Any]:
        """As MONAI Label shows them: a list is a choice whose first entry is the default, a number a field."""
        choices: dict[str, Any] = {DIRECTION: [_named(pair) for pair in self.directions]} if self.directions else {}
        return {**choices, **self.numbers, **({RESULT: list(RESULTS)} if self.uncertain else {})}

    def ids(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ids of the bundle's config with the values of a request, defaults where it has none.

        Raises:
            InputError: if a value is not among those that are offered.
        """
        numbers = {key: self._number(key, request.get(key, default)) for key, default in self.numbers.items()}
        if not self.directions:
            return numbers
        names = {_named(pair): pair for pair in self.directions}
        source, target = names[_one_of(DIRECTION, request.get(DIRECTION), list(names))]
        return {"source": source, "target": target, **numbers}

    def wants_uncertainty(self, request: Mapping[str, Any]) -> bool:
        """Whether the spread of the samples is asked for in place of their mean.

        Raises:
            InputError: if it is not to be had, for instance of one sample.
        """
        results = RESULTS if self.uncertain else RESULTS[:1]
        wanted = _one_of(RESULT, request.get(RESULT), list(results)) == RESULTS[1]
        if wanted and self._number("num_samples", request.get("num_samples", self.numbers["num_samples"])) < 2:
            raise refusal(RESULT, "uncertainty of one sample", "num_samples from 2 on", "send num_samples too")
        return wanted

    def _number(self, key: str, value: Any) -> int:
        least, most = LEAST[key], self.most[key]
        text = str(value).strip()
        whole = int(text) if text.isascii() and text.removeprefix("-").isdigit() else None
        if isinstance(value, bool) or whole is None or not least <= whole <= most:
            raise refusal(key, repr(value), f"a whole number from {least} to {most}", f"send {key} as a number")
        return whole


def _directions(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """All that is translated to what, the default first."""
    between = config.get("domains") or config.get("contrasts")
    if isinstance(between, list):
        pairs = list(permutations(map(str, between), 2))
    elif listed := (metadata.get("translation") or {}).get("directions"):
        pairs = [(str(pair[0]), str(pair[1])) for pair in listed if len(pair) == 2]
    else:  # such as a segmentation, whose sources are those with intensities
        target, sources = config.get("target"), config.get("intensity")
        pairs = [(source, str(target)) for source in sources or {}] if target else []
    return tuple(sorted(pairs, key=lambda pair: pair[0] != config.get("source")))


def _named(pair: tuple[str, str]) -> str:
    return " to ".join(pair)


def _one_of(key: str, value: Any, offered: list[str]) -> str:
    """The value, or the first that is offered where none came, or the whole list as a client got it shown."""
    if value is None or value == offered or value == []:
        return offered[0]
    if value not in offered:
        raise refusal(key, repr(value), " or ".join(offered), f"send {key} as {offered[0]!r}")
    return str(value)
