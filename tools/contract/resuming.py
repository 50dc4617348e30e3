"""What a training compares before it resumes: every value that decides its state, under the ids' own names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from contract.bundle import Bundle, Check

NOT_COMPARED = {
    "how long a training lasts, which may change": {
        *("max_epochs", "constant_epochs", "decay_epochs", "val_interval"),
    },
    "which process it is, where its data lie, how they are read": {
        *("rank", "resume", "num_workers", "cache_num", "datalist", "labels", "images_dir", "pretrained", "classifier"),
    },
    "how much is done at once and how fast, which gives the same result": {
        *("slice_batch", "channel_batch", "slab", "slices_at_once", "amp", "channels_last"),
    },
    "what a refusal says": {"no_pairs", "no_cases", "no_labels", "classifier_command"},
}
"""Ids of a training that may change between two runs of it, by the reason."""
RESUME = "transmodal.handlers.Resume"
PLACES = ("_path", "_dir")
CONSUMED = {"_desc_", "imports", "bundle_root", "device", "initialize", "run", "finalize"}


def resumed_settings(bundle: Bundle) -> Iterator[str]:
    """A training resumes with the values that it began with: train.json compares them all, an overlay its own."""
    train, inference = bundle.read("train"), bundle.read("inference")
    if not isinstance(train.get("settings"), dict):
        if RESUME in json.dumps(train):
            yield "train.json: resumes, and has no 'settings' to be compared"
        return
    of_training = train.keys() - inference.keys() - _deciding(train)
    for name in ["train", *(name for name in bundle.config_names() if bundle.base_of(name) == "train")]:
        config = bundle.read(name)
        heads = {key.lstrip("+").partition("#")[0] for key in config}
        if not name.startswith("multi_gpu") and (name in ("train", *bundle.stages) or heads & of_training):
            elsewhere = (train.keys() | inference.keys()) - _deciding(train)
            yield from (f"{name}.json: {each}" for each in _incomplete(config, train, elsewhere))


def _incomplete(config: Mapping[str, Any], train: Mapping[str, Any], elsewhere: set[str]) -> Iterator[str]:
    compared = dict(_compared(train["settings"]))
    for key, value in config.items():
        if key.startswith("settings#"):
            compared |= dict(_compared({key.removeprefix("settings#"): value}))
    for key in sorted(_deciding(config) - elsewhere - compared.keys()):
        yield f"'{key}' is not among the settings, so that a training would resume with another one"
    for key, text in compared.items():
        if not re.search(rf"@{re.escape(key)}\b", text):
            yield f"setting '{key}' is {text}; wanted the id of that name, '@{key}'"


def _compared(settings: Any) -> Iterator[tuple[str, str]]:
    """Each setting with the text of its value, those in groups too; a group by reference has its own names."""
    for key, value in (settings or {}).items():
        if isinstance(value, Mapping) and key != "frozen":
            yield from ((name, str(text)) for name, text in value.items())
        elif key not in ("_target_", "frozen"):
            yield key, str(value)


def _deciding(config: Mapping[str, Any]) -> set[str]:
    """Ids of values: numbers, flags, texts and lists of them, and the expressions among the hyper-parameters."""
    known = {*CONSUMED, *(key for keys in NOT_COMPARED.values() for key in keys)}
    found: set[str] = set()
    parts = False
    for key, value in config.items():
        parts = parts or key.endswith("_def")
        if key in known or "#" in key or key.startswith("+") or key.endswith(PLACES):
            continue
        words = isinstance(value, str)
        if _plain(value) and not (words and (parts or re.fullmatch(r"@\w+|.*\.to\(@device\)|\$copy\..*", value))):
            found.add(key)
    return found


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_plain(each) for each in value)
    return value is None or isinstance(value, (bool, int, float, str))


CHECKS: tuple[Check, ...] = (resumed_settings,)
