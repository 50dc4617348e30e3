"""Turn published checkpoints into the weights of a bundle, or into a training that goes on.

Every tensor is accounted for, or nothing is written.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import fire
from torch import Tensor, nn

from benchmarks import options
from importing.continuing import continue_training
from importing.layers import Layers, importing_bundle
from importing.writing import check_new, usage, write_overlay
from transmodal.checkpoints import Published, match, read_checkpoint, save_weights
from transmodal.errors import InputError
from transmodal.published import Part
from transmodal.trained_range import range_beside

__all__ = ["continue_training", "import_weights", "main"]


def import_weights(
    bundle: str | Path,
    checkpoints: Mapping[str, str | Path],
    output: str | Path | None = None,
    overlay: str | Path | None = None,
    force: bool = False,
    config: Sequence[str | Path] = (),
    ids: Mapping[str, Any] | None = None,
) -> str:
    """Import published checkpoints into a bundle and say what became of every tensor.

    Args:
        bundle: the bundle's folder or name; its ``<method>_bundle/published.py`` recognises the checkpoints.
        checkpoints: child of the bundle's ``network_def`` to the file with its weights; a child without parameters,
            such as the task that MU-Diff's weights carry, has none and stays as the config makes it. One child alone
            where ``published.py`` lists it in ``PARTS``.
        output: the weights file, by default ``models/model.pt`` of the bundle, or the file of the part.
        overlay: config written where the checkpoints need other ids than the bundle's; by default beside ``output``.
        force: replace files that are there.
        config: overlays over the bundle's config that say what the checkpoints are for.
        ids: single ids of the config that do, to their values; they are written into ``overlay``.
    Returns:
        The report, and the command that uses the weights.
    Raises:
        InputError: if the roles are not those of the bundle, a file does not match whole, or an output is there.
    """
    home = importing_bundle(bundle)
    laid = tuple(Path(options.file("config", str(path), home.root)) for path in config)
    with home.importable():
        importer = importlib.import_module(f"{home.package}.published")
        part = _part_alone(importer, checkpoints)
        weights, changes, report = _imported(Layers(home, laid, dict(ids or {})), importer, checkpoints)
    output = (home.root / part.weights if part else home.weights) if output is None else Path(output)
    overlay = output.with_suffix(".json") if overlay is None else Path(overlay)
    outputs = [output, overlay] if changes else [output]
    check_new(outputs, force)
    if changes:
        write_overlay(overlay, changes)
    save_weights(weights, output)
    range_beside(output).unlink(missing_ok=True)  # of the weights that were there before
    wrote = f"wrote {' and '.join(map(str, outputs))}"
    return "\n".join([*report, wrote, usage(home.root, output, *laid, *outputs[1:], part=part)])


def _imported(
    given: Layers, importer: ModuleType, checkpoints: Mapping[str, str | Path]
) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """Weights for the network or one part of it, what they change in the config, and what became of every tensor."""
    given.check_ids()
    configured = replace(given, ids={}).build(given.network_def)  # ids may go with the checkpoint's network alone
    carried = [name for name, child in configured.named_children() if next(child.parameters(), None) is None]
    part = _part_alone(importer, checkpoints)
    if part is None:
        roles = [name for name, _ in configured.named_children() if name not in carried]
        _check_roles(given.bundle.name, wanted=roles, found=list(checkpoints), alone=_parts(importer))
    read = {role: _read(importer, file, role) for role, file in checkpoints.items()}
    published = {role: each for role, (_, _, each) in read.items()}
    needed = given.needed_by(published)
    definitions = {role: each.definition for role, each in published.items()}
    device = "cpu" if carried and part is None else "meta"
    network = needed.build({**given.network_def, **definitions}, device)
    if part is None and hasattr(importer, "check_network"):  # of what the files do not tell
        importer.check_network(network)
    weights, report = _matched(read, network)
    if part is not None:
        weights = {key.partition(".")[2]: value for key, value in weights.items()}
        carried = []
    for name in carried:
        child = network.get_submodule(name)
        weights |= {f"{name}.{key}": value for key, value in child.state_dict().items()}
        other = " Another is set by --ID VALUE or --config" if name in given.network_def else ""
        report.append(f"{name}: {child}, as configured; the files do not tell.{other}")
    changes = {**needed.changed_ids(), **needed.changed_definitions(definitions, network)}
    if changes:
        note = f"The network of imported weights, which differs from the bundle's own in {', '.join(changes)}."
        changes = {"_desc_": note, **changes}
    return weights, changes, report


def _parts(importer: ModuleType) -> Mapping[str, Part]:
    """Children of the bundle's network that are imported without the others too."""
    parts: Mapping[str, Part] = getattr(importer, "PARTS", {})
    return parts


def _part_alone(importer: ModuleType, checkpoints: Mapping[str, str | Path]) -> Part | None:
    """The part that the only checkpoint is for, or None where the whole network is asked for."""
    return _parts(importer).get(next(iter(checkpoints))) if len(checkpoints) == 1 else None


def _read(importer: ModuleType, file: str | Path, role: str) -> tuple[dict[str, Tensor], str, Published]:
    """Tensors for a role, what they are taken from, and the network they belong to."""
    if hasattr(importer, "read"):  # of files that hold more than one state dict
        return importer.read(file, role)
    state = read_checkpoint(file)
    return state, str(file), importer.recognise(state, where=file)


def _matched(
    read: Mapping[str, tuple[dict[str, Tensor], str, Published]], network: nn.Module
) -> tuple[dict[str, Tensor], list[str]]:
    """All tensors of the checkpoints under the keys of the network, and what became of them."""
    weights, report = {}, []
    for role, (tensors, where, each) in read.items():
        state, matched = match(tensors, network.get_submodule(role).state_dict(), each.key_map, where)
        weights |= {f"{role}.{key}": value for key, value in state.items()}
        report += [f"{role}: {each.title}", str(matched)]
    return weights, report


def _check_roles(bundle: str | Path, wanted: list[str], found: list[str], alone: Collection[str]) -> None:
    if sorted(wanted) != sorted(found):
        single = f", or one alone for {' or '.join(alone)}" if alone else ""
        raise InputError(
            bundle,
            found=f"files for {', '.join(found) or 'nothing'}",
            wanted=f"one file for each of {', '.join(wanted)}{single}",
            remedy="give " + " ".join(f"{role}=FILE" for role in wanted),
        )


def main(
    bundle: str,
    *checkpoints: str,
    training: str | None = None,
    output: str | None = None,
    overlay: str | None = None,
    config: str | Sequence[str] = (),
    force: bool = False,
    **ids: Any,
) -> None:
    """Import published checkpoints into a bundle, strictly, with a report of every tensor.

    Published G_A makes domain B and G_B makes domain A; with A = CT and B = MR therefore:
    tools/import_weights.py ct_mr_cyclegan_translation ct=latest_net_G_B.pth mr=latest_net_G_A.pth

    gen_diffusive_1 makes the first contrast and gen_diffusive_2 the second; content.pth serves for both:
    tools/import_weights.py ct_mr_syndiff_translation first=gen_diffusive_1_500.pth second=gen_diffusive_2_500.pth

    gen_diffusive_1 is the contrast-specific denoiser and gen_diffusive_2 the contrast-aware one. The files do not tell
    which contrast they make from which others, nor in how many steps; say it as to `python -m monai.bundle run`:
    tools/import_weights.py brain_mri_mudiff_synthesis specific=gen_diffusive_1.pth aware=gen_diffusive_2.pth
        --target t2

    Of the three networks of MD-DGA each has a best.pth of its own. Its slice net or its autoencoder alone goes where
    their stages of training would leave them; legacy.json samples as published:
    tools/import_weights.py ct_mr_mddga_translation autoencoder=VQVAE/best.pth slices=2D/best.pth volume=3D/best.pth
        --config configs/legacy.json
    tools/import_weights.py ct_mr_mddga_translation slices=2D/best.pth

    model-<n>.pt of X-ray2CTPA serves any role, with averaged weights and merged adapters; legacy.json scales latents:
    tools/import_weights.py chest_xray_ctpa_translation autoencoder=vae.safetensors encoder=model-9.pt
        denoiser=model-9.pt --config configs/legacy.json

    A whole training goes on where it stopped:
    tools/import_weights.py ct_mr_syndiff_translation --training content.pth --output OUTPUT_DIR

    Args:
        bundle: folder or name of the bundle; "." inside its folder.
        checkpoints: ROLE=FILE for each child of the bundle's network_def, or for one that a stage of training makes.
        training: a published training to go on with, instead of checkpoints.
        output: weights file, by default models/model.pt of the bundle or the file of the one child; with --training
            the output_dir of the training.
        overlay: config for a network that differs from the bundle's own, by default beside the output.
        config: config over the bundle's inference.json that says what the checkpoints are for, such as
            configs/isles.json, or several with commas between.
        force: replace files that are there.
        ids: ids of the bundle's inference.json that say what the checkpoints are for, such as --target flair.
    """
    if not isinstance(force, bool):
        sys.exit(f"--force: found '{force}'; wanted the flag alone. Put the files before it.")
    files = {role: file for role, _, file in (str(checkpoint).partition("=") for checkpoint in checkpoints)}
    if training is not None and (files or overlay or config or ids or output is None):
        sys.exit("--training: found other files or no output; wanted --training FILE --output DIR alone.")
    try:
        if training is None:
            print(import_weights(bundle, files, output, overlay, force, options.listed(config), ids))
        else:
            print(continue_training(bundle, training, str(output), force))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    fire.Fire(main)
