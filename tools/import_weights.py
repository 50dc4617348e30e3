"""Turn published checkpoints into the weights file of a bundle: every tensor accounted for, or nothing written."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fire
import torch
from monai.bundle import ConfigParser
from torch import nn

from contract.bundle import Bundle
from format_json import format_text, load
from transmodal.checkpoints import Published, match, read_checkpoint, save_weights
from transmodal.errors import InputError
from verify import find_bundles

CONFIG = "configs/inference.json"


def import_weights(
    bundle: str | Path,
    checkpoints: Mapping[str, str | Path],
    output: str | Path | None = None,
    overlay: str | Path | None = None,
    force: bool = False,
) -> str:
    """Import published checkpoints into a bundle and say what became of every tensor.

    Args:
        bundle: the bundle's folder or name; its ``<method>_bundle/published.py`` recognises the checkpoints.
        checkpoints: child of the bundle's ``network_def`` to the file with its weights.
        output: the weights file, by default ``models/model.pt`` of the bundle.
        overlay: config written where the checkpoints need another network than the bundle's; by default beside
            ``output``.
        force: replace files that are there.
    Returns:
        The report, and the command that uses the weights.
    Raises:
        InputError: if the roles are not those of the bundle, a file does not match whole, or an output is there.
    """
    home = _bundle(bundle)
    output = home.weights if output is None else Path(output)
    overlay = output.with_suffix(".json") if overlay is None else Path(overlay)
    network_def = load(home.root / CONFIG)["network_def"]
    with home.importable():
        configured = _build(home, network_def)
        _check_roles(bundle, wanted=[name for name, _ in configured.named_children()], found=list(checkpoints))
        states = {role: read_checkpoint(file) for role, file in checkpoints.items()}
        importer = importlib.import_module(f"{home.package}.published")
        published: dict[str, Published] = {
            role: importer.recognise(states[role], where=file) for role, file in checkpoints.items()
        }
        imported = _build(home, {**network_def, **{role: each.definition for role, each in published.items()}})
    weights, report = {}, []
    for role, each in published.items():
        expected = imported.get_submodule(role).state_dict()
        state, matched = match(states[role], expected, each.key_map, where=checkpoints[role])
        weights |= {f"{role}.{key}": value for key, value in state.items()}
        report += [f"{role}: {each.title}", str(matched)]
    # printed structure, unlike the state dict, also tells dropout and padding apart
    differing = [role for role in published if str(configured.get_submodule(role)) != str(imported.get_submodule(role))]
    outputs = [output, overlay] if differing else [output]
    _check_new(outputs, force)
    if differing:
        _write_overlay(overlay, {**network_def, **{role: published[role].definition for role in differing}}, differing)
    save_weights(weights, output)
    return "\n".join([*report, f"wrote {' and '.join(map(str, outputs))}", _usage(home.root, *outputs)])


def _bundle(path: str | Path) -> Bundle:
    bundle = Bundle(find_bundles(str(path))[0])
    if not (bundle.root / CONFIG).is_file() or not (bundle.root / bundle.package / "published.py").is_file():
        raise InputError(
            path,
            found=f"no {CONFIG}, or no published.py in a package named <method>_bundle",
            wanted="the folder of a bundle that imports published checkpoints",
            remedy="name one, such as ct_mr_cyclegan_translation",
        )
    return bundle


def _build(bundle: Bundle, network_def: Mapping[str, Any]) -> nn.Module:
    """The bundle's network with this ``network_def``, without memory for its weights."""
    parser = ConfigParser()
    parser.read_config(str(bundle.root / CONFIG))
    parser["network_def"] = dict(network_def)
    with torch.device("meta"):
        network: nn.Module = parser.get_parsed_content("network_def")
    return network


def _check_roles(bundle: str | Path, wanted: list[str], found: list[str]) -> None:
    if sorted(wanted) != sorted(found):
        raise InputError(
            bundle,
            found=f"files for {', '.join(found) or 'nothing'}",
            wanted=f"one file for each of {', '.join(wanted)}",
            remedy="give " + " ".join(f"{role}=FILE" for role in wanted),
        )


def _check_new(outputs: list[Path], force: bool) -> None:
    for path in outputs:
        if path.exists() and not force:
            raise InputError(path, found="a file", wanted="a new one", remedy="choose another name, or add --force")


def _write_overlay(path: Path, network_def: Mapping[str, Any], differing: list[str]) -> None:
    note = f"The network of imported weights, which differs from the bundle's own in {' and '.join(differing)}."
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"_desc_": note, "network_def": network_def}), encoding="utf-8")
    path.write_text(format_text(path), encoding="utf-8")


def _usage(root: Path, weights: Path, *overlays: Path) -> str:
    def seen(path: Path) -> str:
        path = path.resolve()
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    configs = "','".join([CONFIG, *map(seen, overlays)])
    names = f"\"['{configs}']\"" if overlays else CONFIG
    run = f"in {root}:\n  python -m monai.bundle run --config_file {names} --ckpt_path {seen(weights)}"
    folded = ",".join(map(seen, overlays))
    hint = f"\nMONAI Label and Deploy read {CONFIG} alone: for them, pack with tools/pack.py --overlay {folded}"
    return f"use it {run}{hint if overlays else ''}"


def main(
    bundle: str, *checkpoints: str, output: str | None = None, overlay: str | None = None, force: bool = False
) -> None:
    """Import published checkpoints into a bundle, strictly, with a report of every tensor.

    Published G_A makes domain B and G_B makes domain A; with A = CT and B = MR therefore:
    tools/import_weights.py ct_mr_cyclegan_translation ct=latest_net_G_B.pth mr=latest_net_G_A.pth

    Args:
        bundle: folder or name of the bundle; "." inside its folder.
        checkpoints: ROLE=FILE for each child of the bundle's network_def.
        output: weights file, by default models/model.pt of the bundle.
        overlay: config for a network that differs from the bundle's own, by default beside the output.
        force: replace files that are there.
    """
    if not isinstance(force, bool):
        sys.exit(f"--force: found '{force}'; wanted the flag alone. Put the files before it.")
    files = {role: file for role, _, file in (str(checkpoint).partition("=") for checkpoint in checkpoints)}
    try:
        print(import_weights(bundle, files, output, overlay, force))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    fire.Fire(main)
