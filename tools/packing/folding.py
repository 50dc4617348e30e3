"""A bundle as its weights need it: overlays folded into its configs; metadata and card tell what comes of it."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.utils import merge_kv

from contract import Bundle
from format_json import format_text, load
from releasing.direction import made_by, of_weights, on_card, true_of
from transmodal.errors import InputError

__all__ = ["laid_over"]

FOLDED = ("train", "inference", "evaluate")
CARD = "docs/README.md"


@contextmanager
def laid_over(bundle: Bundle, overlays: Sequence[Path], weights: bool) -> Iterator[Bundle]:
    """The bundle itself, or a passing copy of it whose configs have the overlays' ids folded in.

    Consumers such as MONAI Label and Deploy read inference.json alone, so weights that need an overlay need it there.
    Each id goes into those of train, inference and evaluate that have it already, as MONAI would lay it over them, and
    with it what it refers to of the overlay's own. The metadata tell the directions that come of it.

    Args:
        bundle: what is packed.
        overlays: in their order.
        weights: they are packed too; description and card then tell what they make, where the config fixes it.
    Raises:
        InputError: if an overlay is missing, or has an id that none of these configs has or needs.
    """
    inference = bundle.configs / "inference.json"
    if not overlays and not (weights and inference.is_file() and made_by(load(inference))):
        yield bundle
        return
    with TemporaryDirectory() as folder:
        laid = Bundle(Path(folder) / bundle.name, bundle.schema, bundle.data)
        for source in bundle.files():
            target = laid.root / source.relative_to(bundle.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        for overlay in overlays:
            _fold(laid, overlay if overlay.is_file() else bundle.root / overlay)
        _tell(laid, weights)
        yield laid


def _tell(bundle: Bundle, weights: bool) -> None:
    card = bundle.root / CARD
    if not all(path.is_file() for path in (card, bundle.configs / "metadata.json", bundle.configs / "inference.json")):
        return  # a broken promise of its own
    config = bundle.read("inference")
    told = (of_weights if weights else true_of)(bundle.read("metadata"), config)
    _write(bundle.configs / "metadata.json", told)
    if weights:
        card.write_text(on_card(card.read_text(encoding="utf-8"), config), encoding="utf-8")


def _fold(bundle: Bundle, overlay: Path) -> None:
    """Write the ids of one overlay into the configs of the bundle that have them."""
    if not overlay.is_file():
        raise InputError(overlay, found="no such file", wanted="an overlay", remedy="correct the name after --overlay")
    content = load(overlay)
    ids = {key: value for key, value in content.items() if key != "_desc_"} if isinstance(content, dict) else {}
    known: set[str] = set()
    for name in FOLDED:
        path = bundle.configs / f"{name}.json"
        config = load(path) if path.is_file() else {}
        found = {key for key, value in ids.items() if _merge(config, key, value)}
        found |= (needed := _needed(ids, found))
        config |= {key: value for key, value in ids.items() if key in needed}
        if found:
            _write(path, config)
        known |= found
    if not ids or ids.keys() - known:
        raise InputError(
            overlay,
            found=f"ids that no config has: {', '.join(sorted(ids.keys() - known))}" if ids else "no ids",
            wanted=f"ids of {', '.join(FOLDED)}, or such as these refer to",
            remedy="correct or remove them",
        )


def _merge(config: dict[str, Any], key: str, value: Any) -> bool:
    """Lay one id of an overlay over a config, if the config has it."""
    name, parser = key.removeprefix("+"), ConfigParser(config)
    place = config if name in config else parser  # an id with # may be a key as it stands, or a path
    if name not in place:
        return False
    merge_kv(place, key, copy.deepcopy(value))
    return True


def _needed(ids: Mapping[str, Any], found: set[str]) -> set[str]:
    """New ids of an overlay that those which were found refer to, and what these refer to in turn."""
    needed: set[str] = set()
    while more := {
        key
        for key in ids.keys() - found - needed
        if any(re.search(rf"[@%]{re.escape(key)}\b", json.dumps(ids[each])) for each in found | needed)
    }:
        needed |= more
    return needed


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    path.write_text(format_text(path), encoding="utf-8")
