"""Where the last stage finds the volumes that the slice stage has made, and whether they are what it needs."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from mddga_bundle.provenance import RECORD, read_record
from transmodal.errors import InputError
from transmodal.files import sha256_of

__all__ = ["OnFullScaled", "with_slices"]

logger = logging.getLogger(__name__)

COMMAND = (
    "python -m monai.bundle run --config_file \"['configs/inference.json','configs/inference_slices.json']\" "
    "with the --dataset_dir and --datalist of this training"
)
TOLERANCE = 0.05
"""Of the full scale, by which values may lie below 0, as interpolation leaves them."""


def with_slices(
    cases: Sequence[Mapping[str, str]],
    folder: str | Path,
    target: str,
    weights: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[dict[str, str]]:
    """Add to each case what the slice stage made of it, under the key ``slices``.

    The record that the slice stage leaves in ``folder`` is compared with this training; without one it only warns.

    Args:
        cases: case records.
        folder: where that stage has written ``<case>/<target>.nii.gz``.
        target: modality that it makes.
        weights: file of the slice net that this training carries on; the volumes have to be of the same.
        settings: what has to be equal in the record, such as ``pixdim``.
    Returns:
        New case records, in their order.
    Raises:
        InputError: if files are missing; it says how many, the first, and the command that writes them. If one is the
            true target itself, or the record tells other weights or settings, or lacks a case.
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
    for case in cases:
        _check_not_the_target(made[case["case"]], case.get(target))
    if made:
        _check_record(Path(folder), list(made), {"target": target, **(settings or {})}, weights)
    return [{**case, "slices": str(made[case["case"]])} for case in cases]


class OnFullScaled(MapTransform):  # type: ignore[misc]
    """Refuses images whose values cannot be those that the slice stage writes, such as Hounsfield units.

    Args:
        keys: of the images, any shape.
        full_scale: the stage writes 0 to this value.
    Raises:
        InputError: if a value is below 0 by more than a twentieth of ``full_scale``.
    """

    def __init__(self, keys: KeysCollection, full_scale: float) -> None:
        super().__init__(keys)
        self.full_scale = full_scale

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same images."""
        for key in self.key_iterator(dict(data)):
            lowest = float(data[key].min())
            if lowest < -TOLERANCE * self.full_scale:
                raise InputError(
                    data[key].meta.get("filename_or_obj", key) if hasattr(data[key], "meta") else str(key),
                    found=f"values down to {lowest:g}",
                    wanted=f"a volume that the slice stage made, from 0 to about {self.full_scale:g}",
                    remedy=f"give the last stage the volumes of the slice stage, not its source images: run {COMMAND}",
                )
        return dict(data)


def _check_not_the_target(made: Path, true: str | None) -> None:
    if true is not None and Path(true).exists() and made.samefile(true):
        raise InputError(
            made,
            found="the true image of the case, which is the target of the training",
            wanted="the volume that the slice stage makes of the case",
            remedy=f"set slices_dir to the output_dir of {COMMAND}",
        )


def _check_record(folder: Path, cases: list[str], wanted: Mapping[str, Any], weights: str | Path | None) -> None:
    record = read_record(folder)
    if record is None:
        logger.warning(
            "%s has no %s, so nothing tells whether its volumes are of this slice net and grid", folder, RECORD
        )
        return
    differing = [name for name, value in wanted.items() if name in record and not _same(record[name], value)]
    found = [f"{name} {record[name]} instead of {wanted[name]}" for name in differing]
    if weights is not None and Path(weights).is_file() and record.get("weights") != sha256_of(weights):
        found.append(f"other weights than {weights}")
    if strangers := sorted(set(cases) - set(record.get("cases", cases))):
        found.append(f"{len(strangers)} of {len(cases)} cases from another run, first {strangers[0]}")
    if found:
        raise InputError(
            folder / RECORD,
            found=f"volumes made with {'; '.join(found)}",
            wanted="volumes of the slice net, the grid and the scale of this training",
            remedy=f"make them anew: run {COMMAND}, and the same overlays and ids as here",
        )


def _same(recorded: Any, value: Any) -> bool:
    """Whether two settings are equal; tuples come back from JSON as lists."""
    return bool(recorded == (list(value) if isinstance(value, tuple) else value))
