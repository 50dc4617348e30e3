"""What metadata.json promises: versions that exist, inputs and outputs under MONAI's names, scores with a record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata as distributions
from typing import Any

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

import transmodal
from contract.bundle import Bundle, Check, Skipped
from format_json import load

SCHEMAS = (
    "https://project-monai.github.io/schema/meta_schema_20240725.json",
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
)
LIBRARIES = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
WANTED = ("name", "changelog", "intended_use", "data_source", "references")
EVIDENCE = ("command", "data", "commit", "eval_metrics")


def schema_url(bundle: Bundle) -> Iterator[str]:
    """The schema is the current generic one, at one of its two permanent addresses."""
    if bundle.metadata.get("schema") not in SCHEMAS:
        yield f"schema '{bundle.metadata.get('schema')}'; wanted {SCHEMAS[0]}"


def wanted_fields(bundle: Bundle) -> Iterator[str]:
    """Fields that the schema leaves out and the model zoo or a reader needs are filled."""
    for field in WANTED:
        if not bundle.metadata.get(field):
            yield f"'{field}' is absent or empty"


def task(bundle: Bundle) -> Iterator[str]:
    """The task is a phrase with a capital letter, and names what the folder's name ends with."""
    said, kind = str(bundle.metadata.get("task")), bundle.name.rpartition("_")[2]
    if not re.match(r"[A-Z]", said) or kind not in said.lower():
        yield f"task '{said}'; wanted a phrase with a capital letter and the word {kind}"


def version(bundle: Bundle) -> Iterator[str]:
    """Single digits, since MONAI compares versions as text; the changelog explains this one and none is newer."""
    present, changelog = str(bundle.metadata.get("version")), bundle.metadata.get("changelog") or {}
    if not re.fullmatch(r"\d\.\d\.\d", present):
        yield f"version '{present}'; wanted three single digits such as 0.1.0"
    if present not in changelog:
        yield f"version '{present}' is not in the changelog"
    elif present != max(changelog):
        yield f"version '{present}', but the changelog has {max(changelog)}"


def library_versions(bundle: Bundle) -> Iterator[str]:
    """Libraries are named in versions that exist here: installed, not newer than installed, accepted by the core."""
    pins = {name: bundle.metadata.get(field) for field, name in LIBRARIES.items()}
    required = bundle.metadata.get("required_packages_version")
    pins |= required if isinstance(required, dict) else {}
    accepted = _requirements_of_core()
    for name, pin in pins.items():
        if name == transmodal.__name__:
            yield f"'{name}' is no published package; a packed bundle carries its own copy"
            continue
        try:
            wanted, installed = Version(str(pin)), Version(distributions.version(name))
        except InvalidVersion:
            yield f"{name} '{pin}' is not a version"
        except distributions.PackageNotFoundError:
            yield f"{name} is not installed"
        else:
            if wanted > Version(installed.public):
                yield f"{name} {pin} is newer than the installed {installed}"
            if name in accepted and not accepted[name].specifier.contains(wanted):
                yield f"{name} {pin}; the core wants {accepted[name]}"


def _requirements_of_core() -> dict[str, Requirement]:
    try:
        lines = distributions.requires(transmodal.__name__) or []
    except distributions.PackageNotFoundError:  # a packed bundle's own copy
        return {}
    requirements = [Requirement(line) for line in lines]
    return {each.name: each for each in requirements if each.marker is None}


def inputs_and_outputs(bundle: Bundle) -> Iterator[str]:
    """The first input is `image` and the first output `pred`, with sizes that MONAI's verifier can compute."""
    form = bundle.metadata.get("network_data_format")
    if not isinstance(form, dict):
        yield "no network_data_format"
        return
    for side, key in (("inputs", "image"), ("outputs", "pred")):
        entries = form.get(side) or {}
        if next(iter(entries), None) != key:
            yield f"{side} begin with '{next(iter(entries), None)}'; wanted '{key}', the name Label and Deploy use"
        for name, entry in entries.items():
            if isinstance(entry, dict):
                yield from _tensor(f"{side}.{name}", entry)


def _tensor(where: str, entry: dict[str, Any]) -> Iterator[str]:
    for size in entry.get("spatial_shape", []):
        if isinstance(size, str) and not re.fullmatch(r"[\dnp+*/() -]*[\dnp)]", size):
            yield f"{where}: size '{size}'; wanted a number or arithmetic of n and p such as '32*n'"
    definition = entry.get("channel_def")
    if isinstance(definition, dict) and len(definition) != entry.get("num_channels"):
        yield f"{where}: {len(definition)} channel_def for {entry.get('num_channels')} channels"


def scores_have_a_record(bundle: Bundle) -> Iterator[str]:
    """eval_metrics is empty, or each of its numbers stands in a docs/*.json beside its command, data and commit."""
    scores = bundle.metadata.get("eval_metrics")
    if not scores:
        raise Skipped("eval_metrics is empty: no score is claimed")
    claimed = {key: float(value) for key, value in _numbers(scores)}
    for path in sorted((bundle.root / "docs").glob("*.json")):
        record = load(path)
        if isinstance(record, dict) and all(record.get(key) for key in EVIDENCE):
            found = dict(_numbers(record["eval_metrics"], words=True))
            claimed = {key: value for key, value in claimed.items() if found.get(key) != value}
    if claimed:
        yield f"{', '.join(claimed)}: no docs/*.json with {', '.join(EVIDENCE)} has this number"


def _numbers(values: dict[str, Any], prefix: str = "", words: bool = False) -> Iterator[tuple[str, float]]:
    """Every number by its path; where words are allowed, as in a record that names its worst case, without them."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.", words)
        elif isinstance(value, (int, float)):
            yield f"{prefix}{key}", float(value)
        elif not words:
            raise TypeError(f"eval_metrics: {prefix}{key} is {json.dumps(value)}; wanted a number")


CHECKS: tuple[Check, ...] = (
    schema_url,
    wanted_fields,
    task,
    version,
    library_versions,
    inputs_and_outputs,
    scores_have_a_record,
)
