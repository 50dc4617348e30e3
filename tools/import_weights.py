"""Turn published checkpoints into the weights of a bundle, or into a training that goes on.

Every tensor is accounted for, or nothing is written.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import fire
import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from contract.bundle import Bundle
from format_json import format_text, load
from transmodal.checkpoints import Published, match, read_checkpoint, save_weights, write_checkpoint
from transmodal.errors import InputError
from transmodal.handlers import training_state
from verify import find_bundles

CONFIG, TRAINING = "configs/inference.json", "configs/train.json"


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
        importer = importlib.import_module(f"{home.package}.published")
        read = {role: _read(importer, file, role) for role, file in checkpoints.items()}
        published = {role: each for role, (_, _, each) in read.items()}
        imported = _build(home, {**network_def, **{role: each.definition for role, each in published.items()}})
    weights, report = {}, []
    for role, (tensors, where, each) in read.items():
        expected = imported.get_submodule(role).state_dict()
        state, matched = match(tensors, expected, each.key_map, where)
        weights |= {f"{role}.{key}": value for key, value in state.items()}
        report += [f"{role}: {each.title}", str(matched)]
    # printed structure, unlike the state dict, also tells dropout and padding apart
    differing = [role for role in published if str(configured.get_submodule(role)) != str(imported.get_submodule(role))]
    changes = _changed_settings(home, published)
    if differing:
        changes["network_def"] = {**network_def, **{role: published[role].definition for role in differing}}
    outputs = [output, overlay] if changes else [output]
    _check_new(outputs, force)
    if changes:
        what = f" in {' and '.join(differing)}" if differing else ", without other tensors"
        note = f"The network of imported weights, which differs from the bundle's own{what}."
        _write_overlay(overlay, note, changes)
    save_weights(weights, output)
    return "\n".join([*report, f"wrote {' and '.join(map(str, outputs))}", _usage(home.root, *outputs)])


def continue_training(bundle: str | Path, file: str | Path, output_dir: str | Path, force: bool = False) -> str:
    """Make a published training one of this bundle, which goes on where the other stopped.

    The bundle's ``<method>_bundle/continuing.py`` reads the file, tells its settings, and restores the objects that
    `transmodal.handlers.Resume` keeps in ``configs/train.json``.

    Args:
        bundle: the bundle's folder or name.
        file: the published training.
        output_dir: the ``output_dir`` of the training to come; gets the file to resume from and an overlay with the
            settings of the published training.
        force: replace files that are there.
    Returns:
        The report, and the command that trains on.
    Raises:
        InputError: if the bundle continues no trainings, the file does not match whole, or an output is there.
    """
    home, output_dir = _bundle(bundle), Path(output_dir).resolve()
    if not (home.root / home.package / "continuing.py").is_file():
        raise InputError(
            bundle,
            found=f"no {home.package}/continuing.py",
            wanted="a bundle that continues published trainings",
            remedy="import weights alone, by ROLE=FILE",
        )
    with home.importable():
        continuing = importlib.import_module(f"{home.package}.continuing")
        training = continuing.read(file)
        settings = continuing.settings(training)
        parser = ConfigParser()
        parser.read_config(str(home.root / TRAINING))
        for key, value in {**settings, "output_dir": str(output_dir), "device": "cpu"}.items():
            parser[key] = value
        handlers = enumerate(parser["train#handlers"])
        number = next(n for n, each in handlers if isinstance(each, dict) and each["_target_"].endswith(".Resume"))
        resume, overlay = Path(parser.get_parsed_content(f"train#handlers#{number}#path")), output_dir / "continue.json"
        _check_new([resume, overlay], force)
        state = parser.get_parsed_content(f"train#handlers#{number}#state")
        report = continuing.restore(training, state)
    epoch_length = max(1, training.global_step // max(1, training.epoch))
    note = f"Settings of the published training that goes on after {training.epoch} epochs."
    _write_overlay(overlay, note, {**settings, "output_dir": str(output_dir)})
    write_checkpoint(training_state(state, training.epoch, epoch_length), resume)
    run = f"in {home.root}:\n  python -m monai.bundle run --config_file \"['{TRAINING}','{overlay}']\""
    return "\n".join([*report, f"wrote {resume} and {overlay}", f"train on after epoch {training.epoch} {run}"])


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


def _read(importer: ModuleType, file: str | Path, role: str) -> tuple[dict[str, Tensor], str, Published]:
    """Tensors for a role, what they are taken from, and the network they belong to."""
    if hasattr(importer, "read"):  # of files that hold more than one state dict
        return importer.read(file, role)
    state = read_checkpoint(file)
    return state, str(file), importer.recognise(state, where=file)


def _changed_settings(bundle: Bundle, published: Mapping[str, Published]) -> dict[str, Any]:
    """Settings of the checkpoints, by their ids in the config, that are not the bundle's own."""
    parser = ConfigParser()
    parser.read_config(str(bundle.root / CONFIG))
    settings: dict[str, Any] = {}
    for role, each in published.items():
        for key, value in each.settings.items():
            if settings.setdefault(key, value) != value:
                raise InputError(
                    f"{role}, {each.title}",
                    found=f"{key} {value}",
                    wanted=f"{settings[key]}, as the other checkpoint has it",
                    remedy="give checkpoints of one training",
                )
    return {key: value for key, value in settings.items() if parser.get(key) != value}


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


def _write_overlay(path: Path, note: str, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"_desc_": note, **content}), encoding="utf-8")
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
    bundle: str,
    *checkpoints: str,
    training: str | None = None,
    output: str | None = None,
    overlay: str | None = None,
    force: bool = False,
) -> None:
    """Import published checkpoints into a bundle, strictly, with a report of every tensor.

    Published G_A makes domain B and G_B makes domain A; with A = CT and B = MR therefore:
    tools/import_weights.py ct_mr_cyclegan_translation ct=latest_net_G_B.pth mr=latest_net_G_A.pth

    gen_diffusive_1 makes the first contrast and gen_diffusive_2 the second; content.pth serves for both:
    tools/import_weights.py ct_mr_syndiff_translation first=gen_diffusive_1_500.pth second=gen_diffusive_2_500.pth

    A whole training goes on where it stopped:
    tools/import_weights.py ct_mr_syndiff_translation --training content.pth --output OUTPUT_DIR

    Args:
        bundle: folder or name of the bundle; "." inside its folder.
        checkpoints: ROLE=FILE for each child of the bundle's network_def.
        training: a published training to go on with, instead of checkpoints.
        output: weights file, by default models/model.pt of the bundle; with --training the output_dir of the training.
        overlay: config for a network that differs from the bundle's own, by default beside the output.
        force: replace files that are there.
    """
    if not isinstance(force, bool):
        sys.exit(f"--force: found '{force}'; wanted the flag alone. Put the files before it.")
    files = {role: file for role, _, file in (str(checkpoint).partition("=") for checkpoint in checkpoints)}
    if training is not None and (files or overlay or output is None):
        sys.exit("--training: found other files or no output; wanted --training FILE --output DIR alone.")
    try:
        if training is None:
            print(import_weights(bundle, files, output, overlay, force))
        else:
            print(continue_training(bundle, training, str(output), force))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    fire.Fire(main)
