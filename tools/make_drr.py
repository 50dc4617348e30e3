"""Give each CT of a data set the radiograph it would have cast, as <case>/xray.png or <case>/xray.nii.gz."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fire
import nibabel
import numpy as np
from PIL import Image
from torch import Tensor

from transmodal.data import find_cases
from transmodal.data.layout import Case
from transmodal.data.layout import extension as ending_of
from transmodal.errors import InputError
from transmodal.files import write_atomically
from transmodal.projection import (
    ConeBeam,
    Projector,
    SiddonProjector,
    TrilinearProjector,
    attenuation,
    published_density,
)
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed, Radiographd

METHODS: dict[str, Callable[..., Projector]] = {"trilinear": TrilinearProjector, "siddon": SiddonProjector}
DENSITIES: dict[str, Callable[[Tensor], Tensor]] = {"water": attenuation, "published": published_density}
PER_MM = 100  # grey values of a PNG per mm


def main(
    dataset_dir: str,
    output: str | None = None,
    extension: str = ".png",
    width: float = 384.0,
    pixels: int | Sequence[int] = 224,
    view: str = "PA",
    source_to_detector: float = 1800.0,
    source_to_isocentre: float = 1600.0,
    rotation: Sequence[float] = (0.0, 0.0, 0.0),
    translation: Sequence[float] = (0.0, 0.0, 0.0),
    centre: str = "lungs",
    method: str = "trilinear",
    step: float = 1.0,
    density: str = "water",
    overwrite: bool = False,
) -> None:
    """Write a digitally reconstructed radiograph for each CT of DATASET_DIR that has no radiograph yet.

    The picture hangs as radiographs do: rows from head to feet, columns from the patient's right to his left, bright
    where dense. Its values are line integrals, in mm of water: 16-bit PNG holds hundredths of mm, NIfTI mm.
    The published set-up is --view AP --source_to_detector 1200 --source_to_isocentre 850 --width 362.67 --pixels 512
    --centre image --method siddon --density published.

    Args:
        dataset_dir: folder of cases (<case>/ct.nii.gz and so on), or a single CT (not called ct: with --output).
        output: where <case>/xray goes, a single CT's case having the name of its file; by default beside the CTs.
        extension: .png or .nii.gz.
        width: what the picture shows at the isocentre, from side to side, in mm.
        pixels: rows and columns.
        view: PA, source behind the patient, or AP, source before him.
        source_to_detector: in mm.
        source_to_isocentre: in mm.
        rotation: of source and detector about the patient's z, x and y, in degrees.
        translation: of source and detector along x, y and z, in mm.
        centre: what lies at the isocentre: lungs, body or image (the middle of the scan).
        method: trilinear or siddon (exact, slower).
        step: of the trilinear method, in mm.
        density: water (attenuation relative to water) or published (lungs count nothing, the densest voxel 1).
        overwrite: replace radiographs that are there.
    """
    try:
        geometry = ConeBeam.covering(
            width,
            pixels=list(pixels) if isinstance(pixels, tuple) else pixels,
            source_to_detector=source_to_detector,
            source_to_isocentre=source_to_isocentre,
            rotation=rotation,
            translation=translation,
            view=str(view),
        )
        steps = {"step": step} if method == "trilinear" else {}
        projector = _chosen("--method", method, METHODS)(geometry, **steps)
        make = Radiographd("ct", "xray", projector=projector, centre=centre, density=_density(density))
        found = _write_all(str(dataset_dir), output, _extension(extension), make, bool(overwrite))
    except InputError as error:
        sys.exit(str(error))
    _report(found, Path(output or (dataset_dir if Path(dataset_dir).is_dir() else Path(dataset_dir).parent)))


class Found(NamedTuple):
    """How many radiographs were written, how many were there, and what is wrong with the other CTs."""

    made: int
    kept: int
    refused: list[str]


def _write_all(dataset_dir: str, output: str | None, extension: str, make: Radiographd, overwrite: bool) -> Found:
    """One radiograph for each CT; a CT that cannot be used stops none of the others."""
    cases = [case for case in find_cases(dataset_dir, modality="ct") if "ct" in case]
    if not cases:
        raise InputError(
            dataset_dir, found="no CT", wanted="<case>/ct with any of the known endings", remedy="check the folder"
        )
    folders = [Path(output) / case["case"] if output else _own_folder(Path(case["ct"])) for case in cases]
    made, kept, refused = 0, 0, list[str]()
    for case, folder in zip(cases, folders, strict=True):
        there = [path for path in folder.glob("xray*") if path.name.split(".")[0] == "xray"]
        if there and not overwrite:
            kept += 1
            continue
        try:
            picture = _radiograph(case, make)
        except InputError as error:
            refused.append(str(error) if case["ct"] in error.where else f"{case['ct']}: {error}")
            continue
        _write(picture, make.projector.geometry.pixel_at_isocentre, folder / f"xray{extension}")
        for old in there:
            if old.name != f"xray{extension}" and old.is_file():
                old.unlink()
        made += 1
    return Found(made, kept, refused)


def _report(found: Found, place: Path) -> None:
    """Say what was done, and end with status 1 if a CT could not be used."""
    print(f"Wrote {found.made} radiographs to {place}" + (f"; {found.kept} were there already." if found.kept else "."))
    if found.refused:
        sys.exit("\n".join(found.refused))


def _own_folder(ct: Path) -> Path:
    """The folder of a case, which has no other CT than this one."""
    if ct.name.lower().removesuffix(ending_of(ct)) != "ct":
        raise InputError(
            ct,
            found="a CT that is not called ct, in a folder that others may share",
            wanted="<case>/ct, or --output",
            remedy="give --output FOLDER; the radiograph becomes FOLDER/<case>/xray",
        )
    return ct.parent


def _radiograph(case: Case, make: Radiographd) -> Tensor:
    """Of a case, (rows, columns); not by ``Compose``, which hides what is wrong behind its own error."""
    sample: dict[Any, Any] = {"ct": case["ct"], "case": case["case"]}
    for transform in (CheckedLoadImaged("ct", modality="ct"), EnsureVolumed("ct"), make):
        sample = transform(sample)
    picture: Tensor = sample["xray"].as_tensor()[0]
    return picture


def _write(picture: Tensor, edge: float, path: Path) -> None:
    """A picture (rows, columns) of mm with square pixels of so many mm."""
    values = picture.numpy()
    if path.suffix == ".png":
        grey = np.clip(np.rint(values * PER_MM), 0, 65535).astype(np.uint16)
        write_atomically(path, lambda place: Image.fromarray(grey).save(place, dpi=(25.4 / edge, 25.4 / edge)))
        return
    image: Any = nibabel.Nifti1Image(np.ascontiguousarray(values.T), np.diag([-edge, -edge, 1.0, 1.0]))
    image.header.set_xyzt_units("mm")
    write_atomically(path, lambda place: nibabel.save(image, place))


def _density(word: str) -> Callable[[Tensor], Tensor]:
    return _chosen("--density", word, DENSITIES)


def _extension(word: str) -> str:
    return _chosen("--extension", word, {name: name for name in (".png", ".nii.gz")})


def _chosen(flag: str, word: str, table: dict[str, Any]) -> Any:
    if word not in table:
        raise InputError(flag, found=repr(word), wanted=f"one of {', '.join(table)}", remedy="see --help")
    return table[word]


if __name__ == "__main__":
    fire.Fire(main)
