"""Where a translation comes from: enough to make it again, and to know whether it must be made again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from translating.inputs import Scan
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.handlers.findings import provenance as versions

__all__ = ["FILE", "MARK", "finished", "for_dicom", "hashes", "plain", "versions", "write"]

FILE = "provenance.json"
MARK = "synthetic image, research use only"


def hashes(scan: Scan) -> dict[str, str]:
    """SHA-256 of each file of a scan by its name; files of one name in several folders are told apart by these."""
    names = [file.name for file in scan.files]
    doubled = len(set(names)) < len(names)
    return {f"{file.parent.name}/{file.name}" if doubled else file.name: sha256_of(file) for file in scan.files}


def plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def finished(folder: Path, request: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The warnings of a case that is there as it is asked for; None where there is nothing yet.

    Args:
        folder: of the case in the output.
        request: inputs, bundle, weights and options, as :func:`write` got them.
    Raises:
        InputError: if the folder holds something else.
    """
    if not folder.exists():
        return None
    path = folder / FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        before, outputs, warnings = dict(record["request"]), dict(record["outputs"]), tuple(record["warnings"])
        wanted = plain(request)
        lost = [f"{name} is gone" for name in outputs if not (folder / name).is_file()]
        differing = lost[:1] + [f"another {key}" for key in wanted if before.get(key) != wanted[key]]
    except (OSError, ValueError, KeyError, TypeError):
        differing = [f"no {FILE} that tells what it is"]
    if not differing:
        return warnings
    raise InputError(
        folder,
        found=f"a result that is not what is asked for: {', '.join(differing)}",
        wanted="a new folder, or the result of the same input, bundle, weights and options",
        remedy="choose another --output, or replace it with --force",
    )


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
    told |= {key: str(request[key]) for key in ("seed", "samples") if request[key] is not None}
    return told | ({"warnings": "; ".join(warnings)} if warnings else {})


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a case, with the SHA-256 of every other file in its folder."""
    outputs = {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    text = json.dumps(plain({**record, "outputs": outputs}), indent=2, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
