"""What metadata and card tell of the directions that weights were trained for, where the config fixes them.

These are the one direction of a network of several inputs, or all those between the domains of a network.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

__all__ = ["between", "direction_of", "made_by", "of_weights", "on_card", "problems_of", "told", "true_of"]

TITLES = {"t1": "T1", "t1ce": "T1 with contrast agent", "t2": "T2", "flair": "FLAIR", "dwi": "DWI"}
COUNTS = ("no", "one", "two", "three", "four", "five", "six")
SCALES = {
    "HounsfieldWindow": "HU window {low} to {high}",
    "RobustPercentiles": "percentiles {lower} to {upper} inside the body, written as 0 to {scale}",
    "IntensityWindow": "values {low} to {high}",
}
"""Intensities of a config in words, by their class."""


def true_of(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata with the directions of this config in all that depends on them."""
    if domains := between(config):
        return _told_between(metadata, config, domains)
    return told(metadata, direction_of(config))


def made_by(config: Mapping[str, Any]) -> str:
    """A sentence on what the weights of this config make; empty where the config does not fix it."""
    if domains := between(config):
        return f"These weights translate between {_listed(domains, 'and')}, and nothing else."
    if direction := direction_of(config):
        *sources, target = direction
        return f"These weights make {_title(target)} of {_listed(sources, 'and')}, and nothing else."
    return ""


def of_weights(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as :func:`true_of` gives them, whose description says what the weights of this config make."""
    content, sentence = true_of(metadata, config), made_by(config)
    if sentence and sentence not in content["description"]:
        content["description"] = f"{content['description']} {sentence}"
    return content


def on_card(card: str, config: Mapping[str, Any]) -> str:
    """A model card that says below its title what the weights of this config make."""
    sentence = made_by(config)
    if not sentence or sentence in card:
        return card
    title, _, rest = card.partition("\n")
    return f"{title}\n\n**{sentence}** What else is told below needs weights that were trained for it.\n{rest}"


def between(config: Mapping[str, Any]) -> list[str]:
    """The domains between all of which a network translates; none where the config does not list them."""
    listed = config.get("domains") or config.get("contrasts")
    return [*map(str, listed)] if isinstance(listed, list) and all(map(_is_name, listed)) else []


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
    *sources, target = map(_title, direction)
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


def _told_between(metadata: Mapping[str, Any], config: Mapping[str, Any], domains: Sequence[str]) -> dict[str, Any]:
    """The metadata of a network between domains; as they are where they list the same directions."""
    content, source = copy.deepcopy(dict(metadata)), config.get("source")
    pairs = sorted(map(list, permutations(domains, 2)), key=lambda pair: pair[0] != source)
    before = content.get("translation", {})
    if sorted(before.get("directions", [])) == sorted(pairs):
        return content
    scales = {name: scale for name in domains if (scale := _scale(config, name))}
    content["translation"] = {**before, "directions": pairs, "intensity": scales}
    content["image_classes"] = f"{_listed(domains, 'or')}, one channel"
    content["label_classes"] = "another one of these; needed for validation and evaluation only"
    content["pred_classes"] = f"synthetic {_listed(domains, 'or')}, on the scales of translation: intensity"
    kinds = " or ".join(dict.fromkeys("CT" if name == "ct" else "MR" for name in domains))
    for side in content["network_data_format"].values():
        next(iter(side.values()))["modality"] = kinds
    return content


def _scale(config: Mapping[str, Any], domain: str) -> str:
    """The intensity of a domain in words; empty where the config does not have it in plain numbers."""
    written = config.get("intensity", {}).get(domain)
    scale = config.get(written[1:]) if isinstance(written, str) else written
    words = SCALES.get(str((scale or {}).get("_target_", "")).rpartition(".")[2], "")
    try:
        return words.format_map(scale)
    except KeyError:
        return ""


def _title(name: str) -> str:
    return TITLES.get(name, name.upper())


def _listed(names: Sequence[str], last: str) -> str:
    *others, end = map(_title, names)
    return f"{', '.join(others)} {last} {end}" if others else end


def problems_of(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each part of the metadata that tells another direction than the config."""
    direction = direction_of(config)
    if direction is None:
        pairs, found = [*map(list, permutations(between(config), 2))], metadata.get("translation", {}).get("directions")
        if pairs and found and sorted(found) != sorted(pairs):
            yield f"translation.directions: found {found}; wanted {pairs}, between the domains of the config"
            return
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
