"""Latents of CT volumes as files: ``<case>/latent.npy``, what an autoencoder made of the CT of a case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transmodal.errors import InputError

__all__ = ["read_latent"]

WANTED = "real numbers of (C, F, h, w): channels, axial slices from the feet to the head, rows, columns"


def read_latent(path: str | Path) -> NDArray[np.float32]:
    """The latents of one CT.

    Args:
        path: a file of :func:`numpy.save`.
    Returns:
        (C, F, h, w) as the autoencoder gave them: slices feet to head, rows front to back, columns from the patient's
        right to the left.
    Raises:
        InputError: if the file is missing or broken, or holds anything else, or values that are constant or not finite.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise InputError(
            path,
            found=f"a file that cannot be read ({reason})",
            wanted="a whole .npy file of latents",
            remedy="copy the file again, as it may be truncated, or save it again with np.save as float32",
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim != 4 or 0 in array.shape:
        told = f"{array.dtype} of {'×'.join(map(str, array.shape))}" if isinstance(array, np.ndarray) else "an archive"
        remedy = "save the latents of one CT with np.save, its slices along the second axis"
        raise InputError(path, found=told, wanted=WANTED, remedy=remedy)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all() or low == high:
        raise InputError(
            path,
            found="values that are NaN or infinite" if low != high else f"one value throughout ({low:g})",
            wanted="finite values that differ",
            remedy="encode the CT again",
        )
    return np.asarray(array, np.float32)
