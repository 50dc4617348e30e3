"""A checkout of one throw-away bundle and its released weights, and the records they have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contract import Bundle
from tests.packaging.tiny import NAME, give_weights, tiny_bundle
from transmodal.files import sha256_of

GAIN = 0.75
"""Of the released weights to CT; no other weights have it."""


def tiny_house(folder: Path, **changes: Any) -> tuple[Bundle, Path]:
    """``bundles/<name>`` without weights and ``weights/<name>`` in a folder, and the latter's parent."""
    bundle = tiny_bundle(folder / "bundles")
    weights = folder / "weights" / NAME
    weights.mkdir(parents=True)
    give_weights(bundle, ct=GAIN).rename(weights / "model.pt")
    write_record(weights, **changes)
    return Bundle(bundle), weights.parent


def write_record(folder: Path, **changes: Any) -> Path:
    """``weights.json`` of the weights in a folder, with these fields changed or, where they are None, left out."""
    path = folder / "weights.json"
    content = {key: value for key, value in {**record_of(folder / "model.pt"), **changes}.items() if value is not None}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def record_of(file: Path, bundle: str = NAME) -> dict[str, Any]:
    """A whole record."""
    return {
        "bundle": bundle,
        "version": "0.1.0",
        "sha256": sha256_of(file),
        "size": file.stat().st_size,
        "overlays": [],
        "values": {"gains": {"ct": 1.5, "mr": 2.5}, "source": "ct"},
        "eval_metrics": {"ct_to_mr": {"model": {"mae": 12.5, "dice": None}}},
        "evaluation": {
            "command": "python -m monai.bundle run",
            "data": "two phantoms",
            "cases": 2,
            "commit": "0123abc",
            "date": "2026-11-21",
        },
        **ABOUT,
    }


ABOUT: dict[str, Any] = {
    "training": {
        "command": "python -m monai.bundle run",
        "data": "phantoms of thighs",
        "licence": "CC BY 4.0",
        "attribution": "A. Author",
        "minutes": 3,
        "commit": "0123abc",
    },
    "intended_use": "tests",
    "limits": "multiplies by one number",
}
