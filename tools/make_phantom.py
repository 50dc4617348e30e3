"""Write a dataset of phantoms: simulated patients with paired images, for trying things without patient data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import fire

from transmodal.errors import InputError
from transmodal.phantom import Chest, Head, Region, Thigh, Trunk, write_phantoms

REGIONS: dict[str, Region] = {
    "thigh": Thigh(),
    "trunk": Trunk(),
    "head": Head(),
    "brain": Head(skull_stripped=True),
    "chest": Chest(),
}


def main(
    output: str,
    cases: int = 6,
    region: str | Sequence[str] = "thigh",
    modalities: str | Sequence[str] = ("ct", "mr", "mask"),
    shape: Sequence[int] = (96, 96, 32),
    spacing: Sequence[float] | None = None,
    seed: int = 0,
) -> None:
    """Write OUTPUT/phantom_000/<modality>.nii.gz and so on; nothing is written if an argument is wrong.

    Args:
        output: folder that is missing, empty, or holds nothing but phantoms, which are replaced.
        cases: how many patients.
        region: thigh, trunk, head, brain (the head without its skull) or chest; of several cases take turns.
        modalities: any of ct mr t1 t1ce t2 flair xray mask lesion label, separated by commas.
        shape: voxels toward left, back and head.
        spacing: voxel edges in mm; by default the whole region fits.
        seed: which patients; equal seeds give equal files.
    """
    try:
        folders = write_phantoms(
            str(output),
            cases=cases,
            seed=seed,
            shape=_listed(shape),
            spacing=None if spacing is None else _listed(spacing),
            modalities=_words(modalities),
            regions=[_region(word) for word in _words(region)],
        )
    except InputError as error:
        sys.exit(str(error))
    print(f"Wrote {len(folders)} phantoms to {folders[0].parent}: simulated anatomy, not patients.")


def _words(value: str | Sequence[str]) -> list[str]:
    """Words separated by commas, which fire hands over as a string or a tuple."""
    parts = value.split(",") if isinstance(value, str) else _listed(value)
    return [str(part).strip() for part in parts]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _region(word: str) -> Region:
    if word not in REGIONS:
        raise InputError("--region", found=word, wanted=f"one of {', '.join(REGIONS)}", remedy="pass --region thigh")
    return REGIONS[word]


if __name__ == "__main__":
    fire.Fire(main)
