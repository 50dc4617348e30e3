"""Look at every image of a data set: header, voxels, grid; collect all errors instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from monai.data import MetaTensor
from tqdm import tqdm

from transmodal.data import check_path, check_same_grid
from transmodal.data.layout import LABELS, Case, case_files
from transmodal.errors import InputError
from transmodal.transforms import BodyMask, CheckedLoadImaged

BODY = {"ct": BodyMask(threshold=-500)}
SMALL_BODY = 0.02
ODD_SPACING = 1.5


@dataclass(frozen=True)
class Found:
    """What one image is: voxels, mm per voxel, smallest and largest value, and whether its grid is the case's first."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    low: float
    high: float
    same_grid: bool


@dataclass
class Survey:
    """What a data set is: images and share of body of each case, and everything that is wrong or odd."""

    images: dict[str, dict[str, Found]] = field(default_factory=dict)
    body: dict[str, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def survey(cases: Sequence[Case]) -> Survey:
    """Read all images of these cases, one case at a time."""
    seen = Survey()
    for case in tqdm(cases, desc="checking", unit="case", disable=None, leave=False):
        _case(case, seen)
    _compare(seen)
    return seen


def _case(case: Case, seen: Survey) -> None:
    loaded: dict[str, MetaTensor] = {}
    files = case_files(case)
    for modality in sorted(files, key=lambda name: (name in LABELS, name)):
        try:
            check_path(files[modality], modality)
            sample = {"image": files[modality], "case": case["case"]}
            loaded[modality] = CheckedLoadImaged(keys="image", modality=modality)(sample)["image"]
        except InputError as error:
            seen.errors.append(str(error))
    differs = _grids(loaded, files)
    seen.warnings += [f"{case['case']}: {text}" for text in differs.values()]
    seen.images[case["case"]] = {
        modality: Found(
            tuple(int(size) for size in image.meta["spatial_shape"]),
            tuple(float(size) for size in np.linalg.norm(np.asarray(image.affine)[:-1, :-1], axis=0))[
                : len(image.meta["spatial_shape"])
            ],
            float(image.min()),
            float(image.max()),
            modality not in differs,
        )
        for modality, image in loaded.items()
    }
    if loaded:
        seen.body[case["case"]] = _body(loaded)


def _grids(loaded: Mapping[str, MetaTensor], files: Mapping[str, str]) -> dict[str, str]:
    """The images whose grid is not that of the case's first, with what differs."""
    names = list(loaded)
    differs = {}
    for name in names[1:]:
        try:
            check_same_grid(loaded[name], loaded[names[0]], files[name], files[names[0]])
        except InputError as error:
            differs[name] = f"{name} and {names[0]} have different grids: {error.found.split(': ', 1)[-1]}"
    return differs


def _body(loaded: Mapping[str, MetaTensor]) -> float:
    """Share of the first image that is body: from the mask where there is one, else found."""
    if "mask" in loaded:
        return float((loaded["mask"] > 0).float().mean())
    name, image = next(iter(loaded.items()))
    if name in LABELS:
        return float((image > 0).float().mean())
    return float(BODY.get(name, BodyMask())(image.as_tensor().reshape(1, *image.meta["spatial_shape"])).float().mean())


def _compare(seen: Survey) -> None:
    """What only shows when cases are seen together."""
    images = {case: {name for name in found if name not in LABELS} for case, found in seen.images.items()}
    everything = set().union(*images.values()) if images else set()
    single = {case: everything - found for case, found in images.items() if everything - found}
    if single:
        lacking = sorted({name for names in single.values() for name in names})
        seen.warnings.append(
            f"{len(single)} cases lack {' or '.join(lacking)} and can only train unpaired: {_some(sorted(single))}"
        )
    for modality in sorted(everything):
        spacings = {case: sorted(found[modality].spacing) for case, found in seen.images.items() if modality in found}
        usual = _usual(list(spacings.values()))
        odd = [case for case, spacing in spacings.items() if _is_odd(spacing, usual)]
        if odd:
            seen.warnings.append(
                f"{modality}: spacing far from the usual {'×'.join(f'{size:.2f}' for size in usual)} mm in {_some(odd)}"
            )
    empty = [case for case, share in seen.body.items() if share < SMALL_BODY]
    if empty:
        seen.warnings.append(f"less than {SMALL_BODY:.0%} body in {_some(empty)}")


def _usual(spacings: Sequence[Sequence[float]]) -> list[float]:
    length = max(len(spacing) for spacing in spacings)
    return [float(size) for size in np.median([each for each in spacings if len(each) == length], axis=0)]


def _is_odd(spacing: Sequence[float], usual: Sequence[float]) -> bool:
    if len(spacing) != len(usual):
        return True
    ratios = np.maximum(np.divide(spacing, usual), np.divide(usual, spacing))
    return bool(ratios.max() > ODD_SPACING)


def _some(cases: Sequence[str], limit: int = 8) -> str:
    return ", ".join(cases[:limit]) + (f" and {len(cases) - limit} more" if len(cases) > limit else "")
