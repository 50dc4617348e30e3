"""Pack a bundle into one zip that runs alone: configs, code, the core and, unless they are hosted, the weights."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import fire

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from contract import STATIC, Bundle, run_checks
from contract.bundle import CORE, files_of
from contract.files import sha256
from contract.running import network_of
from transmodal.checkpoints import MAKE_WEIGHTS, load_weights
from transmodal.errors import InputError
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
    Returns:
        The zip.
    Raises:
        InputError: if the bundle breaks a promise, the weights are missing or do not fit, or this version was packed
            before with other content. Nothing is written then.
    """
    _require_promises(bundle)
    content = _files(bundle)
    if not without_weights:
        content = _with_weights(bundle, content, weights, hosted_url)
    name = f"{bundle.name}_v{bundle.metadata['version']}"
    output.mkdir(parents=True, exist_ok=True)
    archive, partial = output / f"{name}.zip", output / f".{name}.zip.partial"
    try:
        _write(partial, bundle.name, content)
        checksum = sha256(partial)
        info = _model_info(output, name, checksum, source_url or archive.resolve().as_uri())
        partial.replace(archive)
    finally:
        partial.unlink(missing_ok=True)
    archive.with_name(f"{archive.name}.sha256").write_text(f"{checksum}  {archive.name}\n", encoding="utf-8")
    path = output / "models" / "model_info.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(info, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return archive


def _require_promises(bundle: Bundle) -> None:
    broken = [finding for finding in run_checks(bundle, STATIC) if finding.status == "FAIL"]
    if broken:
        raise InputError(
            bundle.root,
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


def _with_weights(bundle: Bundle, content: Content, weights: Path | None, hosted_url: str | None) -> Content:
    """The content with the weights in it, or with the pin of hosted ones."""
    path = weights or bundle.weights
    if LARGE_FILES in content and not (weights or hosted_url or path.is_file()):
        return content  # the bundle itself says where they are hosted
    if not path.is_file():
        raise InputError(
            path,
            found="no such file",
            wanted=f"the weights of {bundle.name}",
            remedy=f"{MAKE_WEIGHTS}; or pack the code alone with --without_weights",
        )
    with bundle.importable():
        load_weights(network_of(bundle), path)
    if not hosted_url:
        return {**{name: source for name, source in content.items() if name != LARGE_FILES}, WEIGHTS: path}
    entry = {"path": WEIGHTS, "url": hosted_url, "hash_val": sha256(path), "hash_type": "sha256"}
    lines = [f"{'- ' if key == 'path' else '  '}{key}: {json.dumps(value)}" for key, value in entry.items()]
    return {**content, LARGE_FILES: "\n".join(["large_files:", *lines, ""]).encode()}


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
) -> None:
    """Pack a bundle into DIR/<bundle>_v<version>.zip, which `python -m monai.bundle download --url` unpacks.

    Args:
        bundle: folder or name of a bundle.
        output: folder for the zip, its .sha256 and models/model_info.json.
        weights: weights to pack instead of the bundle's models/model.pt.
        hosted_url: address of the weights; they are pinned by sha256 in large_files.yml and left out of the zip.
        source_url: address of the zip, for models/model_info.json.
        without_weights: pack code and configs only.
    """
    try:
        if not isinstance(without_weights, bool):
            raise InputError(
                "--without_weights", found=repr(without_weights), wanted="the flag alone", remedy="put it last"
            )
        path = find_bundles(bundle)[0]
        file = Path(weights) if weights else None
        archive = pack(Bundle(path), Path(output), file, hosted_url, source_url, without_weights)
    except InputError as error:
        sys.exit(str(error))
    print(f"{archive}\n{archive.with_name(archive.name + '.sha256').read_text(encoding='utf-8').split()[0]}")


if __name__ == "__main__":
    fire.Fire(main)
