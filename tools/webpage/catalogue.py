"""What the page offers: bundles that translate, in which directions, with which options, and why one does not."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from contract.bundle import Bundle
from translating.model import Model, model_of
from transmodal.errors import InputError

__all__ = ["bundles_in", "offers"]

RESEARCH_ONLY = "For research only: a neural network computes what is shown; it may be wrong anywhere."
OPTIONS: tuple[tuple[str, str, int, int], ...] = (
    ("seed", "Seed of all noise", 0, 2**31 - 1),
    ("num_samples", "Samples (from two on their deviation is shown)", 1, 16),
    ("num_steps", "Diffusion steps", 1, 1000),
)
"""Id in the config, label, least and largest value."""


def bundles_in(folders: Sequence[str | Path]) -> list[Path]:
    """The bundles among folders and in them, each once."""
    found: dict[Path, None] = {}
    for folder in map(Path, folders):
        homes = [folder] if (folder / "configs" / "metadata.json").is_file() else sorted(folder.glob("*/"))
        inside = [home.resolve() for home in homes if (home / "configs" / "metadata.json").is_file()]
        if not inside:
            raise InputError(
                folder,
                found="no bundle" if folder.is_dir() else "no such folder",
                wanted="a bundle, or a folder with bundles",
                remedy="name it after --bundles, such as an unpacked zip of tools/pack.py",
            )
        found |= dict.fromkeys(inside)
    return list(found)


def offers(folders: list[str], device: str | None) -> list[dict[str, Any]]:
    """Each bundle that translates, as the page is told of it; ``path`` beside is for the server alone.

    Of several folders of one name the first that is ready is offered.

    Args:
        folders: of bundles.
        device: of the jobs, or None.
    """
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    offers: dict[str, dict[str, Any]] = {}
    for home in bundles_in(folders):
        offer = _offer(home, device)
        if offer is not None and not offers.get(offer["name"], {"ready": False})["ready"]:
            offers[offer["name"]] = offer
    return list(offers.values())


def _offer(home: Path, device: str | None) -> dict[str, Any] | None:
    """None for a bundle that translates no image."""
    try:
        metadata = Bundle(home).metadata
    except (OSError, json.JSONDecodeError):
        return None
    written = metadata.get("translation", {}).get("directions", [])
    if not written:
        return None
    offer: dict[str, Any] = {
        "name": home.name,
        "title": str(metadata.get("name", home.name)),
        "summary": str(metadata.get("description", "")),
        "inputs": "radiograph" if written[0][0] == "xray" else "volumes" if len(written[0]) > 2 else "volume",
        "directions": [{"source": "+".join(pair[:-1]), "target": pair[-1]} for pair in written],
        "ready": True,
        "why_not": None,
        "options": [],
        "research_only": str(metadata.get("intended_use") or RESEARCH_ONLY),
        "path": str(home),
    }
    try:
        model = model_of(home, ids={"device": device} if device else {})
        model.check()
        offer |= {"directions": _directions(model, offer), "options": _options(model)}
    except InputError as error:
        offer |= {"ready": False, "why_not": _why_not(home, error)}
    return offer


def _why_not(home: Path, error: InputError) -> str:
    if (error.where, error.found) == (str(Bundle(home).weights), "no such file"):
        return (
            "it has no weights yet: train it, or import or download some (its docs/README.md says how), and start again"
        )
    return " ".join(str(error).split())


def _directions(model: Model, offer: dict[str, Any]) -> list[dict[str, str]]:
    """What is made of what; of several contrasts only what these weights make."""
    if offer["inputs"] != "volumes":
        return [{"source": source, "target": target} for source, target in model.directions]
    target = str(model.layers.parser["target"])
    sources = model.layers.parser["orders"][target]
    return [{"source": "+".join(map(str, sources)), "target": target}]


def _options(model: Model) -> list[dict[str, Any]]:
    """The options that a bundle has, with the values of its config."""
    options = []
    for key, label, least, most in OPTIONS:
        value = model.layers.parser[key] if model.has(key) else None
        if isinstance(value, int) and not isinstance(value, bool):
            told = {"id": key, "label": label, "type": "int", "default": value, "minimum": least, "maximum": most}
            options.append(told)
    return options
