"""Look at every image of a data set: header, voxels, grid; collect all errors instead of stopping at the first."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from monai.data import MetaTensor
from monai.transforms import MapTransform
from tqdm import tqdm

from transmodal.data import check_same_grid, read_latent
from transmodal.data.layout import KINDS, LABELS, LATENT, RADIOGRAPH, Case, case_files
from transmodal.data.radiograph_check import check_radiograph
from transmodal.errors import InputError
from transmodal.transforms import BodyMask, CheckedLoadImaged, RadiographLoadImaged

APART = (RADIOGRAPH, LATENT)
"""Kinds of files that do not lie on the grid of a case's volumes, and show no body of their own."""

TALKATIVE = ("monai.data.nvimgcodec_pydicom_plugin", "transmodal.transforms.radiograph_loading")
"""Loggers that announce an absent option, and what the report tells as well."""

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
    for talkative in TALKATIVE:
        logging.getLogger(talkative).setLevel(logging.ERROR)
    volumes, radiographs = CheckedLoadImaged("image", modality=""), RadiographLoadImaged("image", check_chest=False)
    read = {**dict.fromkeys(KINDS, volumes), RADIOGRAPH: radiographs}
    for case in tqdm(cases, desc="checking", unit="case", disable=None, leave=False):
        _case(case, read, seen)
    _compare(cases, seen)
    return seen


def _case(case: Case, read: Mapping[str, MapTransform], seen: Survey) -> None:
    name, files = case["case"], case_files(case)
    loaded: dict[str, MetaTensor] = {}
    for modality in sorted(files.keys() - {LATENT}, key=lambda modality: (modality in LABELS, modality)):
        try:
            loaded[modality] = read[modality]({"image": files[modality], "modality": modality, "case": name})["image"]
        except InputError as error:
            seen.errors.append(str(error))
    volumes = {modality: image for modality, image in loaded.items() if modality not in APART}
    differs = _grids(volumes, files)
    seen.warnings += [f"{name}: {text}" for text in differs.values()]
    seen.images[name] = {modality: _found(image, modality not in differs) for modality, image in loaded.items()}
    if LATENT in files:
        _latent(files[LATENT], seen, name)
    if RADIOGRAPH in loaded:
        _radiograph(loaded[RADIOGRAPH], seen, name)
    if volumes:
        seen.body[name] = _body(volumes)


def _latent(path: str, seen: Survey, name: str) -> None:
    try:
        values = read_latent(path)
    except InputError as error:
        seen.errors.append(str(error))
    else:
        seen.images[name][LATENT] = Found(values.shape, (), float(values.min()), float(values.max()), same_grid=True)


def _radiograph(picture: MetaTensor, seen: Survey, name: str) -> None:
    """Tell what was noted of it, and what no training on chests would take; a limb may be there for another purpose."""
    if picture.meta.get("notes"):
        seen.warnings.append(f"{name}: {RADIOGRAPH}: {picture.meta['notes']}")
    try:
        check_radiograph(picture.as_tensor(), name)
    except InputError as error:
        seen.warnings.append(f"{name}: {RADIOGRAPH}: found {error.found}; wanted {error.wanted}")


def _found(image: MetaTensor, same_grid: bool) -> Found:
    size = tuple(int(each) for each in image.meta["spatial_shape"])
    spacing = tuple(float(each) for each in np.linalg.norm(np.asarray(image.affine)[:-1, :-1], axis=0))
    return Found(size, spacing[: len(size)], float(image.min()), float(image.max()), same_grid)


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


def _compare(cases: Sequence[Case], seen: Survey) -> None:
    """What only shows when cases are seen together."""
    images = {case["case"]: set(case_files(case)) - {*LABELS, *APART} for case in cases}
    everything = set().union(*images.values()) if images else set()
    single = {case: everything - found for case, found in images.items() if everything - found}
    if single:
        lacking = " or ".join(sorted({name for names in single.values() for name in names}))
        if len(everything) > 2:
            told = [f"{case} ({' '.join(sorted(single[case]))})" for case in sorted(single)]
            seen.warnings.append(
                f"{len(single)} cases lack {lacking} and cannot serve where these are used: {_some(told)}"
            )
        else:
            seen.warnings.append(
                f"{len(single)} cases lack {lacking} and can only train unpaired: {_some(sorted(single))}"
            )
    for modality in sorted({name for found in seen.images.values() for name in found} - {*LABELS, *APART}):
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
