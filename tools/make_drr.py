"""Give each CT of a data set the radiograph it would have cast, as <case>/xray.png or <case>/xray.nii.gz."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fire
import nibabel
import numpy as np
from monai.transforms import Compose
from PIL import Image
from torch import Tensor

from transmodal.data import find_cases
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
        dataset_dir: folder of cases (<case>/ct.nii.gz and so on), or a single CT with --output.
        output: where <case>/xray goes; by default beside the CTs.
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
        made, kept = _write_all(str(dataset_dir), output, _extension(extension), make, bool(overwrite))
    except InputError as error:
        sys.exit(str(error))
    place = output or dataset_dir
    print(f"Wrote {made} radiographs to {place}" + (f"; {kept} were there already." if kept else "."))


def _write_all(
    dataset_dir: str, output: str | None, extension: str, make: Radiographd, overwrite: bool
) -> tuple[int, int]:
    """How many radiographs were written, and how many were there."""
    read = Compose([CheckedLoadImaged("ct", modality="ct"), EnsureVolumed("ct")])
    made = kept = 0
    for case in find_cases(dataset_dir, modality="ct"):
        if "ct" not in case:
            continue
        folder = Path(output) / case["case"] if output else Path(case["ct"]).parent
        there = [path for path in folder.glob("xray*") if path.name.split(".")[0] == "xray"]
        if there and not overwrite:
            kept += 1
            continue
        picture = make(read({"ct": case["ct"], "case": case["case"]}))["xray"]
        edge = make.projector.geometry.pixel_at_isocentre
        _write(picture.as_tensor()[0], edge, folder / f"xray{extension}")
        for old in there:
            if old.name != f"xray{extension}" and old.is_file():
                old.unlink()
        made += 1
    if not made and not kept:
        raise InputError(
            dataset_dir, found="no CT", wanted="<case>/ct with any of the known endings", remedy="check the folder"
        )
    return made, kept


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
