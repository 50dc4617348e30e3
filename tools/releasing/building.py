"""The folder that a web host, a GitHub release or a hub serves: zips, weights, checksums, listings and what to type."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from contract.bundle import Bundle
from pack import LARGE_FILES, pack, pin
from releasing import hub, pages
from releasing.checking import SUMS, weights_name, write_sums
from releasing.staging import staged
from releasing.weights import Released, released
from transmodal.errors import InputError

__all__ = ["Hosting", "build"]

LISTING = Path("models", "model_info.json")


@dataclass(frozen=True)
class Hosting:
    """Where the folder will be served.

    Args:
        base_url: address of the folder; of the folder itself, as file://, if None.
        owner: user or organisation of the hub's repositories; without one nothing is written for the hub.
        apart: weights are fetched by ``download_large_files`` instead of lying in the zips.
    """

    base_url: str | None = None
    owner: str | None = None
    apart: bool = False


def build(output: Path, bundles: Sequence[Bundle], hosting: Hosting, weights: Path) -> list[pages.Entry]:
    """Write or extend the folder, whole or not at all; bundles without released weights are packed as code alone.

    Args:
        output: an absent or empty folder, or one that an earlier call made, whose other versions stay.
        bundles: what to pack.
        hosting: where it will be served.
        weights: folder of the released weights.
    Returns:
        What was packed.
    Raises:
        InputError: if the folder holds anything else or is served elsewhere, there is no folder of weights, these do
            not fit, or a bundle is refused by :func:`pack.pack`. The folder is as it was then.
    """
    _check_output(output)
    _check_weights(weights)
    base = (hosting.base_url or output.resolve().as_uri()).rstrip("/")
    at_hand = released(weights)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as place:
        folder = Path(place)
        if (before := output / LISTING).is_file():  # keeps other versions listed, and each version to one content
            (folder / LISTING).parent.mkdir()
            shutil.copyfile(before, folder / LISTING)
        archives = [_add(folder, bundle, at_hand.get(bundle.name), base, hosting) for bundle in bundles]
        pages.write(folder, _listed(folder, output, base), base, hosting.owner)
        _move(folder, output)
    write_sums(output)
    return [pages.Entry.of(output / archive.name) for archive in archives]


def _listed(folder: Path, output: Path, base: str) -> list[pages.Entry]:
    """All that the listing has, packed now or before.

    Raises:
        InputError: if something that stays from before is listed under another address.
    """
    info = json.loads((folder / LISTING).read_text(encoding="utf-8"))
    for name, entry in info.items():
        if (before := str(entry["source"]).rpartition("/")[0]) != base:
            raise InputError(
                f"--base_url {base}",
                found=f"a folder that has {name} under {before}",
                wanted="one address for all that is in it",
                remedy=f"write --base_url {before}, name a new folder, or build all of it again",
            )
    found = {path.name: path for place in (output, folder) for path in place.glob("*.zip")}
    return [pages.Entry.of(found[name]) for name in (f"{each}.zip" for each in sorted(info)) if name in found]


def _add(folder: Path, bundle: Bundle, weights: Released | None, base: str, hosting: Hosting) -> Path:
    name = f"{bundle.name}_v{bundle.metadata['version']}"
    if weights is None:
        archive = pack(bundle, folder, without_weights=True, source_url=f"{base}/{name}.zip")
        _describe(folder, bundle, hosting.owner)
        return archive
    path = folder / weights_name(name)
    address = f"{base}/{path.name}"
    with staged(bundle, weights) as (copy, overlays):
        archive = pack(
            copy,
            folder,
            weights.checked(),
            hosted_url=address if hosting.apart else None,
            source_url=f"{base}/{name}.zip",
            overlays=overlays,
        )
        _describe(folder, copy, hosting.owner)
    shutil.copyfile(weights.file, path)
    large = folder / "large_files" / name / LARGE_FILES
    large.parent.mkdir(parents=True)
    large.write_text(pin(path, address), encoding="utf-8")
    return archive


def _describe(folder: Path, bundle: Bundle, owner: str | None) -> None:
    """The three files by which MONAI lists a bundle that the hub hosts."""
    if owner is None:
        return
    place = folder / "hf_models" / bundle.name
    place.mkdir(parents=True)
    content = hub.metadata(bundle, owner)
    if problems := hub.problems_of(content):
        raise InputError(
            bundle.configs / "metadata.json",
            found="; ".join(problems),
            wanted=f"what {hub.SCHEMA.name} asks for",
            remedy="fill these fields; nothing was written",
        )
    (place / "metadata.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (place / "README.md").write_text(hub.card(bundle, owner), encoding="utf-8")
    shutil.copyfile(bundle.root / "LICENSE", place / "LICENSE")


def _check_output(output: Path) -> None:
    if output.is_dir() and any(output.iterdir()) and not (output / SUMS).is_file():
        found = "a folder with other content"
    elif output.exists() and not output.is_dir():
        found = "a file"
    else:
        return
    raise InputError(
        output, found=found, wanted="a new folder, or one that this program made", remedy="name another --output"
    )


def _check_weights(weights: Path) -> None:
    if not weights.is_dir():
        raise InputError(
            weights,
            found="no such folder",
            wanted="the folder of released weights, which may hold none",
            remedy="correct --weights, or leave it out",
        )


def _move(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
