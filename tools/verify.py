"""Verify bundles: MONAI's own verifiers and what this project promises on top, one line per check."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import fire

os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
from contract import RUNNING, STATIC, Bundle, Finding, run_checks
from transmodal.errors import InputError
from transmodal.phantom import Chest, Region, Thigh, write_phantoms

MODALITIES = ("ct", "mr", "t1", "t1ce", "t2", "flair", "xray", "mask", "lesion", "label")
ROOT = Path(__file__).resolve().parents[1]


def verify(bundle: Bundle) -> list[Finding]:
    """Make every check of one bundle."""
    return run_checks(bundle, (*STATIC, *RUNNING))


def find_bundles(*paths: str) -> list[Path]:
    """Bundle folders at the given paths, or all of this checkout; a bare name means bundles/<name>.

    Raises:
        InputError: if a path is no bundle.
    """
    found = [Path(path) if Path(path).is_dir() else ROOT / "bundles" / path for path in paths]
    for path in found:
        if not (path / "configs").is_dir():
            raise InputError(
                path,
                found="no folder with configs/",
                wanted="a bundle",
                remedy="give a bundle's folder, or the name of one in bundles/",
            )
    return found or sorted(path.parent for path in (ROOT / "bundles").glob("*/configs"))


def report(bundle: Bundle, findings: list[Finding]) -> str:
    """A line per check, and how many there were of each kind."""
    lines = [f"{bundle.name} ({bundle.root})"]
    for finding in findings:
        head = f"  {finding.status:8}{finding.check}"
        if finding.status == "FAIL":
            lines += [head, *(f"            {reason}" for reason in finding.reasons)]
        else:
            lines.append(": ".join([head, *finding.reasons[:1]]))
    counts = {status: sum(each.status == status for each in findings) for status in ("ok", "FAIL", "skipped")}
    return "\n".join([*lines, "  " + ", ".join(f"{count} {status}" for status, count in counts.items())])


def main(*bundles: str, schema: str | None = None, data: str | None = None) -> None:
    """Verify bundles, by default all of bundles/; exit status 1 if any check fails.

    Args:
        bundles: folders or names of bundles.
        schema: file with the JSON schema of metadata; without it the published one is fetched, and where that is out of
            reach the project's own equivalent is used.
        data: a dataset as users have it, to make the parts of the configs with; without it phantoms are made.
    """
    try:
        folders = find_bundles(*bundles)
    except InputError as error:
        sys.exit(str(error))
    failed = False
    with TemporaryDirectory() as phantoms:
        for folder in folders:
            dataset = Path(data) if data else _phantoms(Path(phantoms), folder.name)
            bundle = Bundle(folder, Path(schema) if schema else None, dataset)
            findings = verify(bundle)
            print(report(bundle, findings), flush=True)
            failed |= any(finding.status == "FAIL" for finding in findings)
    sys.exit(int(failed))


def _phantoms(folder: Path, bundle: str) -> Path:
    """A small dataset with every modality for a bundle of this name: parts of a config are made with it.

    Bundles of chests refuse radiographs of anything else; of the chests that train, some have emboli and some have not.
    """
    region: Region = Chest() if bundle.startswith("chest") else Thigh()
    place = folder / type(region).__name__
    if not place.exists():
        write_phantoms(place, 6, shape=(48, 48, 8), modalities=MODALITIES, regions=[region], xray_spacing=5.0)
    return place


if __name__ == "__main__":
    fire.Fire(main)
