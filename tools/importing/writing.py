"""Files that an import writes, and the command that uses them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from format_json import format_text
from importing.layers import CONFIG
from transmodal.errors import InputError
from transmodal.published import Part


def check_new(outputs: Sequence[Path], force: bool) -> None:
    """Refuse to write over files that are there.

    Raises:
        InputError: if there is one, unless forced.
    """
    for path in outputs:
        if path.exists() and not force:
            raise InputError(path, found="a file", wanted="a new one", remedy="choose another name, or add --force")


def write_overlay(path: Path, content: Mapping[str, Any]) -> None:
    """Write a config as those of the bundles are formatted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(content)), encoding="utf-8")
    path.write_text(format_text(path), encoding="utf-8")


def usage(root: Path, weights: Path, *overlays: Path, part: Part | None = None) -> str:
    """Give the command that runs a bundle with these weights and these configs over its own.

    Args:
        root: of the bundle.
        weights: of its network, or of a part of it.
        overlays: in their order.
        part: what the weights are a part of, if they are.
    """

    def seen(path: Path) -> str:
        path = path.resolve()
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    own, option = (part.configs, part.path) if part else ((CONFIG,), "ckpt_path")
    configs = [*own, *map(seen, overlays)]
    names = configs[0] if len(configs) == 1 else "\"['" + "','".join(configs) + "']\""
    run = f"in {root}:\n  python -m monai.bundle run --config_file {names} --{option} {seen(weights)}"
    folded = ",".join(map(seen, overlays))
    hint = f"\nMONAI Label and Deploy read {CONFIG} alone: for them, pack with tools/pack.py --overlay {folded}"
    return f"use it {run}{hint if overlays and part is None else ''}"
