"""Where the last stage finds the volumes that the slice stage has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from transmodal.errors import InputError

__all__ = ["with_slices"]

COMMAND = (
    "python -m monai.bundle run --config_file \"['configs/inference.json','configs/inference_slices.json']\" "
    "with the --dataset_dir and --datalist of this training"
)


def with_slices(cases: Sequence[Mapping[str, str]], folder: str | Path, target: str) -> list[dict[str, str]]:
    """Add to each case what the slice stage made of it, under the key ``slices``.

    Args:
        cases: case records.
        folder: where that stage has written ``<case>/<target>.nii.gz``.
        target: modality that it makes.
    Returns:
        New case records, in their order.
    Raises:
        InputError: if files are missing; it says how many, the first, and the command that writes them.
    """
    made = {case["case"]: Path(folder) / case["case"] / f"{target}.nii.gz" for case in cases}
    missing = [path for path in made.values() if not path.is_file()]
    if missing:
        raise InputError(
            missing[0] if len(missing) == 1 else f"{len(missing)} of {len(made)} cases, first {missing[0]}",
            found="no such file",
            wanted="the volume that the slice stage makes of each case",
            remedy=f"run {COMMAND}; if the files lie elsewhere, set slices_dir",
        )
    return [{**case, "slices": str(made[case["case"]])} for case in cases]
