"""Pack a bundle into one zip that runs alone: configs, code, the core and, unless they are hosted, the weights."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fire

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from contract import STATIC, Bundle, configs, run_checks
from contract.bundle import CORE, files_of
from contract.running import network_of
from packing import licence
from packing.faults import ended_by_faults
from packing.folding import laid_over
from transmodal.checkpoints import load_weights
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.trained_range import range_beside
from transmodal.ways_to_weights import ways_to_weights
from verify import ROOT, find_bundles

WEIGHTS, LARGE_FILES = "models/model.pt", "large_files.yml"
EPOCH = (1980, 1, 1, 0, 0, 0)
MODE = 0o644 << 16
Content = Mapping[str, Path | bytes]
"""Name inside the bundle to the file, or to what is written under that name."""


def pack(
    bundle: Bundle,
    output: Path,
    weights: Path | None = None,
    hosted_url: str | None = None,
    source_url: str | None = None,
    without_weights: bool = False,
    overlays: Sequence[Path] = (),
) -> Path:
    """Write ``<bundle>_v<version>.zip``, its sha256 and its entry in ``models/model_info.json`` under ``output``.

    The zip has one top folder, the bundle's name. The same files give the same bytes: entries are sorted and carry no
    time of their own.

    Args:
        bundle: what to pack.
        output: folder for the results.
        weights: weights file instead of the bundle's own models/model.pt.
        hosted_url: where the weights will be fetched from; they are then pinned in large_files.yml and not packed.
        source_url: where the zip will be fetched from, for model_info.json; its file:// address if None.
        without_weights: pack code and configs only.
        overlays: configs that the weights were trained with, in order; see :func:`packing.folding.laid_over`.
    Returns:
        The zip.
    Raises:
        InputError: if the bundle breaks a promise, an overlay cannot be folded in, the weights are missing or do not
            fit, or this version was packed before with other content. Nothing is written then.
    """
    path = weights or bundle.weights
    # without a file here, the bundle itself may say where its weights are hosted
    hosted = (bundle.root / LARGE_FILES).is_file() and not (weights or hosted_url or path.is_file())
    alone = without_weights or hosted
    with laid_over(bundle, overlays, weights=not alone) as packed:
        _require_promises(packed, overlays)
        content = _files(packed)
        if not alone:
            content = _with_weights(packed, content, path, hosted_url)
        return _publish(packed, content, output, source_url)


def _publish(bundle: Bundle, content: Content, output: Path, source_url: str | None) -> Path:
    """Write the zip whole or not at all, then what tells of it."""
    name = f"{bundle.name}_v{bundle.metadata['version']}"
    output.mkdir(parents=True, exist_ok=True)
    archive, partial = output / f"{name}.zip", output / f".{name}.zip.partial"
    try:
        _write(partial, bundle.name, content)
        checksum = sha256_of(partial)
        info = _model_info(output, name, checksum, source_url or archive.resolve().as_uri())
        partial.replace(archive)
    finally:
        partial.unlink(missing_ok=True)
    archive.with_name(f"{archive.name}.sha256").write_text(f"{checksum}  {archive.name}\n", encoding="utf-8")
    path = output / "models" / "model_info.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(info, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return archive


def _require_promises(bundle: Bundle, overlays: Sequence[Path]) -> None:
    # folding makes a config longer, and an overlay that stays beside it repeat what it says
    excused = (configs.line_budgets, configs.overlays) if overlays else ()
    checks = [check for check in STATIC if check not in excused]
    broken = [finding for finding in run_checks(bundle, checks) if finding.status == "FAIL"]
    if broken:
        raise InputError(
            f"{bundle.name} with {', '.join(map(str, overlays))}" if overlays else bundle.name,
            found="; ".join(f"{finding.check} ({finding.reasons[0]})" for finding in broken),
            wanted="a bundle that keeps the promises of its files, metadata and configs",
            remedy=f"run tools/verify.py {bundle.name} and mend what it calls FAIL; nothing was packed",
        )


def _files(bundle: Bundle) -> Content:
    """The bundle's own files, and the core's beside them."""
    core = ROOT / "common" / CORE
    own = {path.relative_to(bundle.root).as_posix(): path for path in bundle.files()}
    shared = {f"{CORE}/{path.relative_to(core).as_posix()}": path for path in files_of(core)}
    return {name: path for name, path in own.items() if not name.startswith(f"{CORE}/")} | shared


def _with_weights(bundle: Bundle, content: Content, path: Path, hosted_url: str | None) -> Content:
    """The content with the weights in it, or with the pin of hosted ones."""
    if not path.is_file():
        raise InputError(
            path,
            found="no such file",
            wanted=f"the weights of {bundle.name}",
            remedy=f"{ways_to_weights(path)}; or pack the code alone with --without_weights",
        )
    with bundle.importable():
        load_weights(network_of(bundle), path)
    if (trained := range_beside(path)).is_file():  # by which tools/translate.py knows images unlike the training's
        content = {**content, f"models/{trained.name}": trained}
    if not hosted_url:
        told = licence.with_weights((bundle.root / licence.NAME).read_text(encoding="utf-8")).encode()
        others = {name: source for name, source in content.items() if name != LARGE_FILES}
        return {**others, licence.NAME: told, WEIGHTS: path}
    return {**content, LARGE_FILES: pin(path, hosted_url).encode()}


def pin(weights: Path, url: str) -> str:
    """A large_files.yml by which ``python -m monai.bundle download_large_files`` fetches weights and compares them."""
    entry = {"path": WEIGHTS, "url": url, "hash_val": sha256_of(weights), "hash_type": "sha256"}
    lines = [f"{'- ' if key == 'path' else '  '}{key}: {json.dumps(value)}" for key, value in entry.items()]
    return "\n".join(["large_files:", *lines, ""])


def _write(path: Path, folder: str, content: Content) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, source in sorted(content.items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", EPOCH)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, MODE, 3
            with archive.open(entry, "w", force_zip64=True) as target:
                if isinstance(source, bytes):
                    target.write(source)
                else:
                    with source.open("rb") as stream:
                        while block := stream.read(1 << 20):
                            target.write(block)


def _model_info(output: Path, name: str, checksum: str, source: str) -> dict[str, dict[str, str]]:
    """The listing that MONAI's download reads, with this pack in it."""
    path = output / "models" / "model_info.json"
    info: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    before = info.get(name, {}).get("checksum", checksum)
    if before != checksum:
        raise InputError(
            path,
            found=f"{name} with sha256 {before}",
            wanted=f"one content per version; this one has {checksum}",
            remedy="raise `version` in configs/metadata.json with a line in its changelog, or pack into another folder",
        )
    return {**info, name: {"checksum": checksum, "source": source}}


def main(
    bundle: str,
    output: str,
    weights: str | None = None,
    hosted_url: str | None = None,
    source_url: str | None = None,
    without_weights: bool = False,
    overlay: Any = (),
) -> None:
    """Pack a bundle into DIR/<bundle>_v<version>.zip, which `python -m monai.bundle download --url` unpacks.

    Args:
        bundle: folder or name of a bundle.
        output: folder for the zip, its .sha256 and models/model_info.json.
        weights: weights to pack instead of the bundle's models/model.pt.
        hosted_url: address of the weights; they are pinned by sha256 in large_files.yml and left out of the zip.
        source_url: address of the zip, for models/model_info.json.
        without_weights: pack code and configs only.
        overlay: config that the weights were trained with, such as configs/small.json, or several: a.json,b.json. Its
            ids are folded into the configs of the zip. Looked up here, then in the bundle.
    """
    with ended_by_faults(output):
        if not isinstance(without_weights, bool):
            raise InputError(
                "--without_weights", found=repr(without_weights), wanted="the flag alone", remedy="put it last"
            )
        path = find_bundles(bundle)[0]
        file = Path(weights) if weights else None
        overlays = [Path(each) for each in (overlay.split(",") if isinstance(overlay, str) else overlay)]
        archive = pack(Bundle(path), Path(output), file, hosted_url, source_url, without_weights, overlays)
    print(f"{archive}\n{archive.with_name(archive.name + '.sha256').read_text(encoding='utf-8').split()[0]}")


if __name__ == "__main__":
    fire.Fire(main)
