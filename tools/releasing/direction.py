"""What metadata tell of the one direction for which a network of several inputs was trained."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["direction_of", "problems_of", "told"]

TITLES = {"t1": "T1", "t1ce": "T1 with contrast agent", "t2": "T2", "flair": "FLAIR", "dwi": "DWI"}
COUNTS = ("no", "one", "two", "three", "four", "five", "six")


def direction_of(config: Mapping[str, Any]) -> list[str] | None:
    """The sources in the order of the channels, then the target; None where the config does not fix them.

    Nothing of the config is run: its ``sources`` are a list, or those that ``orders`` has for its ``target``.

    Args:
        config: content of an inference.json with all that its weights need.
    """
    target, sources = config.get("target"), config.get("sources")
    if isinstance(sources, Mapping):
        sources = config.get("orders", {}).get(target)
    if not _is_name(target) or not isinstance(sources, list) or not all(map(_is_name, sources)):
        return None
    return [*map(str, sources), str(target)]


def told(metadata: Mapping[str, Any], direction: Sequence[str] | None) -> dict[str, Any]:
    """The metadata with this direction in all that depends on it; as they are where they have it, or there is none."""
    content = copy.deepcopy(dict(metadata))
    if direction is None or content.get("translation", {}).get("directions") == [[*direction]]:
        return content
    content["translation"] = {**content.get("translation", {}), "directions": [[*direction]]}
    *sources, target = [TITLES.get(name, name.upper()) for name in direction]
    content["image_classes"] = (
        f"{COUNTS[len(sources)] if len(sources) < len(COUNTS) else len(sources)} co-registered images as channels, "
        f"in this order: {', '.join(sources)}"
    )
    content["label_classes"] = f"{target}; needed for training and evaluation"
    data = content["network_data_format"]
    for side, names in ((data["inputs"], sources), (data["outputs"], [target])):
        entry = next(iter(side.values()))
        entry["num_channels"] = len(names)
        entry["channel_def"] = {str(number): name for number, name in enumerate(names)}
    return content


def problems_of(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each part of the metadata that tells another direction than the config."""
    direction = direction_of(config)
    if direction is None:
        pair = [config.get("source"), config.get("target")]
        listed = metadata.get("translation", {}).get("directions")
        if listed and all(map(_is_name, pair)) and pair not in listed:
            yield f"translation.directions: found {listed}; wanted {pair} of the config among them"
        return
    bare = {**metadata, "translation": {**metadata.get("translation", {}), "directions": []}}
    wanted = told(bare, direction)
    for where in (("translation", "directions"), *(("network_data_format", *end) for end in _channels(wanted))):
        found, right = _at(metadata, where), _at(wanted, where)
        if found != right:
            yield f"{'.'.join(where)}: found {found}; wanted {right}, as the config has it"


def _is_name(value: Any) -> bool:
    """Whether a value of a config is one as it stands, and no expression or reference."""
    return isinstance(value, str) and value[:1] not in ("$", "@")


def _channels(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for side in ("inputs", "outputs"):
        yield (side, next(iter(metadata["network_data_format"][side])), "channel_def")


def _at(content: Mapping[str, Any], where: Sequence[str]) -> Any:
    for key in where:
        content = content.get(key, {})
    return content
