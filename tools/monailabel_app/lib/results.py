"""Results as files: the values as they are, with their affine, whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.data import ITKWriter, MetaTensor

from .refusals import refusal

SYNTHETIC, RESEARCH_ONLY = "synthetic - not for diagnosis", "research only - not for diagnosis"
NIFTI, OTHERS = (".nii.gz", ".nii"), (".nrrd", ".mha")


def suffix_of(image: str) -> str:
    """The format of an image where results can have it, or compressed NIfTI."""
    return next((suffix for suffix in (*NIFTI, *OTHERS) if image.lower().endswith(suffix)), NIFTI[0])


def notice_of(image: MetaTensor) -> str:
    """What is to be said with an image, which is a mask if it has 8 bits."""
    return RESEARCH_ONLY if image.dtype == torch.uint8 else SYNTHETIC


def write(image: MetaTensor, suffix: str, dtype: Any = None) -> str:
    """Write an image of one channel to a new temporary file.

    Args:
        image: (1, W, H, D) with its affine from voxels to millimetres, RAS.
        suffix: ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``.
        dtype: wanted type of the values, such as ``int16``, rounded to; if None, 32-bit floats, and 8 bits
            of a mask.
    Returns:
        The file's path.
    Raises:
        InputError: if the format is none of these, or the values do not fit the type.
    """
    if suffix not in (*NIFTI, *OTHERS):
        raise refusal("result_extension", repr(suffix), ", ".join((*NIFTI, *OTHERS)), "send another one")
    affine = np.asarray(image.affine, dtype=np.float64)
    values = _as_type(np.asarray(image.detach().cpu().as_tensor())[0], dtype)
    from transmodal.files import write_atomically  # comes with the bundle

    with tempfile.NamedTemporaryFile(suffix=suffix, delete=False) as file:
        path = Path(file.name)
    write_atomically(path, lambda partial: _write(values, affine, notice_of(image), partial))
    return str(path)


def _write(values: np.ndarray, affine: np.ndarray, notice: str, path: Path) -> None:
    if path.name.endswith(NIFTI):
        image = nib.Nifti1Image(values, affine)
        image.header.set_xyzt_units("mm")
        image.header["descrip"] = notice
        nib.save(image, path)
        return
    writer = ITKWriter(output_dtype=values.dtype)
    writer.set_data_array(values, channel_dim=None)
    writer.set_metadata({"affine": affine}, resample=False)
    writer.write(str(path))


def _as_type(values: np.ndarray, dtype: Any) -> np.ndarray:
    """The values in another type, never wrapped around: clients made for labels ask for 8 bits."""
    if dtype is None:
        return values if values.dtype == np.uint8 else values.astype(np.float32)
    try:
        wanted = np.dtype(dtype)
    except TypeError as error:
        raise refusal("result_dtype", repr(dtype), "a type of NumPy, such as int16", "leave it out") from error
    if wanted.kind in "iu":
        low, high, limits = float(values.min()), float(values.max()), np.iinfo(wanted)
        if low < limits.min or high > limits.max:
            raise refusal(
                "result_dtype",
                f"{wanted} for values from {low:g} to {high:g}",
                "a type that holds them: this result is an image, no label",
                "leave it out, or send float32",
            )
        return np.rint(values).astype(wanted)
    if wanted.kind != "f":
        raise refusal("result_dtype", str(wanted), "a whole or floating-point type", "leave it out")
    return values.astype(wanted)
