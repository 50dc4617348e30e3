"""Where a translation comes from: enough to make it again, and to know whether it must be made again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from translating.inputs import Scan
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.handlers import findings

__all__ = [
    "FILE",
    "MARK",
    "Before",
    "before",
    "check_replaceable",
    "effective",
    "for_dicom",
    "hashes",
    "plain",
    "versions",
    "write",
]

FILE = "provenance.json"
MARK = "synthetic image, research use only"
READERS = ("nibabel", "pydicom", "itk")
ELSEWHERE = "choose another --output, or move away what is there"


@dataclass(frozen=True)
class Before:
    """What is there of a case before it is made.

    Args:
        warnings: of a whole result that is as it is asked for; None where it is to be made.
        damage: for what a result that is as it is asked for must be made again.
    """

    warnings: tuple[str, ...] | None = None
    damage: str = ""


def hashes(scan: Scan) -> dict[str, str]:
    """SHA-256 of each file of a scan by its name; files of one name in several folders are told apart by these."""
    names = [file.name for file in scan.files]
    doubled = len(set(names)) < len(names)
    return {f"{file.parent.name}/{file.name}" if doubled else file.name: sha256_of(file) for file in scan.files}


def plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def versions() -> dict[str, str]:
    """Of what reads, computes and writes."""
    return {**findings.provenance(None), **{name: metadata.version(name) for name in READERS}}


def effective(parser: ConfigParser) -> dict[str, Any]:
    """Seed, samples and device as a config has them in the end, given or not; None where it has none."""

    def value(key: str) -> Any:
        return parser.get_parsed_content(key) if key in parser else None

    device = value("device")
    of_cuda = device is not None and torch.device(device).type == "cuda"
    return {
        "seed": value("seed"),
        "samples": value("num_samples"),
        "device": None if device is None else str(device),
        "device_name": torch.cuda.get_device_name(device) if of_cuda else None,
    }


def before(folder: Path, request: Mapping[str, Any], inputs: Iterable[Path] = (), force: bool = False) -> Before:
    """Whether a case is there, whole and as it is asked for, or may be made in that place.

    Args:
        folder: of the case in the output.
        request: inputs, bundle, weights and options, as :func:`write` got them.
        inputs: files that must stay.
        force: make it whatever result is there.
    Raises:
        InputError: if the result of another request is there, unless forced; or anything else than a result.
    """
    if not os.path.lexists(folder):
        return Before()
    record, wanted = _read(folder), plain(request)
    differing = [key for key in wanted if record["request"].get(key) != wanted[key]]
    if differing and not force:
        way_out = "; this one is of another scan" if "inputs" in differing else ", or replace it with --force"
        raise InputError(
            folder,
            found=f"a result that is not what is asked for: {', '.join(f'another {key}' for key in differing)}",
            wanted="a new folder, or the result of the same input, bundle, weights and options",
            remedy=f"choose another --output{way_out}",
        )
    damage = "" if force else _damage(folder, record)
    if not damage and not force:
        return Before(tuple(record["warnings"]))
    check_replaceable(folder, inputs)
    return Before(damage=damage)


def check_replaceable(folder: Path, inputs: Iterable[Path] = ()) -> None:
    """Make sure that a folder is a result and nothing is lost with it: no file that its record does not list, no input.

    Raises:
        InputError: naming what must stay.
    """
    listed = {FILE, *_read(folder)["outputs"]}
    entries = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    home = folder.resolve()
    kept = [name for path in entries if (name := path.relative_to(folder).as_posix()) not in listed]
    kept += [f"{path.name}, an input" for path in inputs if path.resolve().is_relative_to(home)]
    if kept:
        raise InputError(
            folder,
            found=f"files that are not of the result to be replaced ({', '.join(kept[:3])})",
            wanted="nothing but that result",
            remedy=ELSEWHERE,
        )


def _read(folder: Path) -> dict[str, Any]:
    """The record of a folder that is a result.

    Raises:
        InputError: if it is none.
    """
    try:
        record = dict(json.loads((folder / FILE).read_text(encoding="utf-8")))
        outputs = {name: (int(file["bytes"]), str(file["sha256"])) for name, file in record["outputs"].items()}
        return {**record, "request": dict(record["request"]), "outputs": outputs, "warnings": list(record["warnings"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            folder,
            found=f"no {FILE} that tells what it is",
            wanted="a new folder, or a result of this program",
            remedy=ELSEWHERE,
        ) from error


def _damage(folder: Path, record: Mapping[str, Any]) -> str:
    """The first file that is not as it was written; empty if there is none."""
    for name, (size, digest) in record["outputs"].items():
        path = folder / name
        if not path.is_file():
            return f"{name} is gone"
        if path.stat().st_size != size or sha256_of(path) != digest:
            return f"{name} is damaged"
    return ""


def for_dicom(record: Mapping[str, Any], warnings: Sequence[str]) -> dict[str, str]:
    """The record in a few words, for the header of each file."""
    request = record["request"]
    model = request["model"]
    told = {
        "created": record["started"],
        "bundle": f"{model['bundle']} {model['version']}",
        "weights_sha256": model["weights_sha256"],
        "configs": ", ".join(model["configs"]),
    }
    drawn = record["effective"]
    told |= {key: str(drawn[key]) for key in ("seed", "samples") if drawn[key] is not None}
    return told | ({"warnings": "; ".join(warnings)} if warnings else {})


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a case, with size and SHA-256 of every other file in its folder."""
    outputs = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = json.dumps(plain({**record, "outputs": outputs}), indent=2, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
