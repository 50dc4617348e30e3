"""Records of the cases of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def find_records(dataset_dir: str, keys: Mapping[str, str]) -> list[dict[str, str]]:
    """A record per case folder that has all files; ``keys`` maps a batch key to a modality."""
    cases = sorted(path for path in Path(dataset_dir).glob("*") if path.is_dir())
    records = [{key: str(case / f"{modality}.nii.gz") for key, modality in keys.items()} for case in cases]
    return [record for record in records if all(Path(path).is_file() for path in record.values())]
