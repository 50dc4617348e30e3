"""Cases with lesion masks, their contrasts on one scale, and the slices that a segmenter learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import Compose, DivisiblePadd, Orientationd, SpatialPadd
from torch import Tensor

from transmodal.data import as_records, check_path, read_sections
from transmodal.data.layout import SECTIONS, Case
from transmodal.data.sections import find_list
from transmodal.errors import InputError
from transmodal.transforms import (
    BodyMask,
    CheckedLoadImaged,
    EnsureVolumed,
    RobustPercentiles,
    SameGridd,
    SpacingWithinToleranced,
)

LESION, BODY = "lesion", "mask"
SCALE = RobustPercentiles()
MIN_BODY_FRACTION = 0.05
SMALLEST, DIVISOR = 32, 16
"""Pixels along each side of a slice: at least, and a multiple of; the segmenter halves it four times."""

Record = Mapping[str, Any]
Slice = dict[str, Tensor]


@dataclass(frozen=True)
class Subject:
    """A case in memory on its native grid, every image (1, H, W, D).

    Args:
        case: its name.
        contrasts: real contrasts in [-1, 1], by name.
        synthetic: synthetic targets in [-1, 1], by the name of what made them.
        body: true inside the body.
        lesion: true inside lesions.
    """

    case: str
    contrasts: Mapping[str, MetaTensor]
    synthetic: Mapping[str, MetaTensor]
    body: Tensor
    lesion: Tensor


def split_records(
    dataset_dir: str, datalist: str | None, section: str, contrasts: Sequence[str]
) -> tuple[list[Record], list[Record]]:
    """Records of the training section and of the section that is scored: contrasts, ``lesion``, maybe ``mask``.

    ``label`` stands in where a case has no ``lesion``; cases with neither are left out.

    Raises:
        InputError: if there is no list of sections, the section is unknown or trains, a section has no lesion masks,
            or a case with a lesion mask lacks a contrast.
    """
    scored = tuple(name for name in SECTIONS if name != "training")
    if section not in scored:
        raise InputError(
            "--section",
            found=repr(section),
            wanted=f"{' or '.join(scored)}, since the segmenter learns from the training section",
            remedy=f"write --section {scored[-1]}",
        )
    listed = find_list(dataset_dir, datalist)
    if listed is None:
        raise InputError(
            dataset_dir,
            found="no list of sections",
            wanted="dataset.json in the data set, or --datalist",
            remedy="give --datalist the split.json of the training that made the synthetic images",
        )
    sections = read_sections(listed)
    training, tested = (_with_lesion(sections[name], name, listed, contrasts) for name in ("training", section))
    return training, tested


def _with_lesion(cases: Sequence[Case], section: str, listed: Path, contrasts: Sequence[str]) -> list[Record]:
    masks = {case["case"]: case.get(LESION, case.get("label")) for case in cases}
    usable = [{**case, LESION: mask} for case in cases if (mask := masks[case["case"]])]
    if not usable:
        raise InputError(
            listed,
            found=f"{len(cases)} cases in the section {section!r}, none with a lesion mask",
            wanted="<case>/lesion.nii.gz, or label.nii.gz, with values above 0 inside lesions",
            remedy="add the masks to the data set and to the list (tools/datalist.py), or choose another section",
        )
    names = dict.fromkeys([*contrasts, LESION, BODY])
    return list(as_records(usable, {name: name for name in names}, optional=(BODY,)))


def check_synthetic(records: Sequence[Record], folders: Mapping[str, Path], target: str, section: str) -> None:
    """Refuse results that lack a case, before anything is trained.

    Raises:
        InputError: naming all cases without a synthetic target, or a file that is no image.
    """
    for folder in folders.values():
        files = {record["case"]: synthetic_file(folder, record, target) for record in records}
        absent = [case for case, file in files.items() if not file.exists()]
        if absent:
            raise InputError(
                folder,
                found=f"no synthetic {target} of {', '.join(absent[:8])}{' …' if len(absent) > 8 else ''}",
                wanted=f"<case>/{target}.nii.gz for every case of the section {section!r} that has a lesion mask",
                remedy="make them in the bundle's folder: python -m monai.bundle run --config_file "
                f"configs/inference.json --target {target} --section {section} --dataset_dir DATASET_DIR "
                f"--datalist LIST --output_dir {folder}",
            )
        for file in files.values():
            check_path(file, target)


def synthetic_file(folder: Path, record: Record, target: str) -> Path:
    """Where inference wrote the synthetic target of a case."""
    return folder / record["case"] / f"{target}.nii.gz"


def read_subject(record: Record, contrasts: Sequence[str], synthetic: Mapping[str, Path], target: str) -> Subject:
    """Read a case, every contrast scaled to [-1, 1] by its own robust percentiles inside the body.

    Synthetic targets are scaled by percentiles too, and inside the same body, rather than by the range they were
    written on: real and synthetic images then meet the segmenter alike. The body is the case's ``mask``, else what
    :class:`~transmodal.transforms.BodyMask` finds in any of the sources; the target has no say in it.

    Args:
        record: files by name.
        contrasts: to read.
        synthetic: files of synthetic targets, by the name of what made them.
        target: which of the contrasts they imitate.
    Raises:
        InputError: if a file is unusable, lies on another grid, or is constant inside the body.
    """
    modalities = {name: name for name in (*contrasts, LESION, BODY) if name in record}
    stand_ins = {f"synthetic {name}": path for name, path in synthetic.items()}
    modalities |= dict.fromkeys(stand_ins, target)
    images: dict[Any, Any] = {**record, **stand_ins}
    loading = [CheckedLoadImaged(key, modality=modality) for key, modality in modalities.items()]
    for transform in (*loading, EnsureVolumed([*modalities]), SameGridd([*modalities])):
        images = transform(images)  # one by one: MONAI's Compose would wrap an error that names the file
    if BODY in images:
        body = images[BODY].as_tensor() > 0
    else:
        sources = [BodyMask()(images[name].as_tensor()) for name in contrasts if name != target]
        body = torch.stack(sources).amax(dim=0) > 0
    return Subject(
        case=record["case"],
        contrasts={name: _scaled(images[name], body, record[name]) for name in contrasts},
        synthetic={name: _scaled(images[f"synthetic {name}"], body, path) for name, path in synthetic.items()},
        body=body,
        lesion=images[LESION].as_tensor() > 0,
    )


def _scaled(image: MetaTensor, body: Tensor, where: str | Path) -> MetaTensor:
    low, high = SCALE.bounds(image, body)
    if low == high:
        raise InputError(
            where,
            found=f"one value ({low:g}) everywhere inside the body",
            wanted="an image with contrast",
            remedy="look at the image; a synthetic one comes from a training that failed",
        )
    scaled: MetaTensor = SCALE.scale(image, body)
    return scaled


def stacked(target: MetaTensor, sources: Sequence[Tensor]) -> MetaTensor:
    """Target and sources as channels (K + 1, H, W, D) on the target's grid."""
    channels = [target.as_tensor(), *(each.as_tensor() if isinstance(each, MetaTensor) else each for each in sources)]
    return MetaTensor(torch.cat(channels), affine=target.affine)


def working_grid(pixdim: Sequence[float]) -> Compose:
    """From the native grid of ``image``, ``lesion`` and ``body`` to the segmenter's: RAS, ``pixdim`` in mm, padded."""
    keys = ("image", "lesion", "body")
    fills = {"image": -1.0, "lesion": 0.0, "body": 0.0}
    modes = ("bilinear", "nearest", "nearest")
    pads = []
    for key, value in fills.items():
        pads.append(SpatialPadd(key, (SMALLEST, SMALLEST, 1), value=value, allow_missing_keys=True))
        pads.append(DivisiblePadd(key, (DIVISOR, DIVISOR, 1), value=value, allow_missing_keys=True))
    return Compose(
        [
            Orientationd(keys, axcodes="RAS", labels=None, allow_missing_keys=True),
            SpacingWithinToleranced(keys, pixdim, mode=modes),
            *pads,
        ]
    )


def body_slices(subject: Subject, contrasts: Sequence[str], grid: Compose) -> list[Slice]:
    """The axial slices of a case with enough body: ``image`` (K + 1, H, W) float16 and ``lesion`` (1, H, W) bool."""
    first, *others = (subject.contrasts[name] for name in contrasts)
    masks = {
        name: MetaTensor(mask.float(), affine=first.affine)
        for name, mask in (("lesion", subject.lesion), ("body", subject.body))
    }
    sample = grid({"image": stacked(first, others), **masks})
    image, lesion, body = (sample[key].as_tensor() for key in ("image", "lesion", "body"))
    shown = (body[0].mean(dim=(0, 1)) >= MIN_BODY_FRACTION).nonzero().flatten().tolist()
    return [{"image": image[..., at].half(), "lesion": lesion[..., at] > 0} for at in shown]
