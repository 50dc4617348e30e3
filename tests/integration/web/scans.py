"""Small images as users have them: a volume of a head, and a radiograph of a chest."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from transmodal.phantom import Head, make_case

SHAPE = (40, 36, 16)


def write_mr(path: Path, shape: tuple[int, int, int] = SHAPE) -> Path:
    """A T1-weighted MR phantom of a head in NIfTI."""
    write_contrasts(path.parent, "mr", shape=shape)
    return (path.parent / "mr.nii.gz").rename(path)


def write_contrasts(folder: Path, *names: str, shape: tuple[int, int, int] = SHAPE) -> list[Path]:
    """MR contrasts of one phantom of a head, each as ``<contrast>.nii.gz``."""
    spacing = [round(size / count, 2) for size, count in zip(Head.field_of_view, shape, strict=True)]
    case = make_case(Head(), seed=0, shape=shape, spacing=spacing, modalities=names)
    paths = [folder / f"{name}.nii.gz" for name in names]
    for name, path in zip(names, paths, strict=True):
        nib.save(nib.Nifti1Image(case[name][0].numpy(), case[name].affine.numpy()), path)
    return paths


def write_radiograph(path: Path, size: int = 256) -> Path:
    """A grey picture with two dark lungs and a bright middle."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    image = 170 + 50 * y - 30 * np.abs(x)
    image -= 110 * np.exp(-(((np.abs(x) - 0.45) / 0.25) ** 2) - ((y + 0.1) / 0.5) ** 2)
    noise = np.random.default_rng(0).normal(0, 4, image.shape)
    Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(path)
    return path
