"""Where and how results are written: the layout of inputs, atomically, so that nothing is ever half written."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.config import NdarrayOrTensor
from monai.data import FolderLayoutBase, NibabelWriter

from transmodal.files import write_atomically

__all__ = ["AtomicNibabelWriter", "CaseLayout", "case_of", "deviation_of"]

DEVIATION_SUFFIX = "_std"
"""What follows the name of an image in that of its standard deviation."""

logger = logging.getLogger(__name__)


class CaseLayout(FolderLayoutBase):
    """``output_dir/<case>/<name><extension>``: the layout of inputs, so one bundle's output is the next one's input.

    Args:
        output_dir: root of the results.
        name: file name without extension, usually the target modality.
        extension: file extension with its dot.
    """

    def __init__(self, output_dir: str, name: str, extension: str = ".nii.gz") -> None:
        self.output_dir, self.name, self.extension = Path(output_dir), name, extension

    def filename(self, case: str = "case", suffix: str = "", **_: Any) -> Path:
        """Path of a case's file, ``suffix`` following the name; its folder is made."""
        path = self.output_dir / case / f"{self.name}{suffix}{self.extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def case_of(meta: Mapping[str, Any], transform: Any = None) -> dict[str, str]:
    """The ``output_name_formatter`` of ``SaveImaged``: a sample's case, from the metadata its reader left.

    A transform that makes a second image of a case, such as an uncertainty map, says so by ``meta["suffix"]``.
    """
    case = str(meta.get("case") or Path(str(meta.get("filename_or_obj", "case"))).name.split(".")[0])
    return {"case": case, "suffix": str(meta.get("suffix", ""))}


class AtomicNibabelWriter(NibabelWriter):
    """NIfTI writer that leaves a complete file or none, and a volume of one slice a volume."""

    def set_data_array(
        self, data_array: NdarrayOrTensor, channel_dim: int | None = 0, squeeze_end_dims: bool = True, **kwargs: Any
    ) -> None:
        """Take the image, without its channel axis if that has one channel.

        A single slice keeps its third axis: MONAI 1.6 fails on two axes with an affine in three dimensions.
        """
        super().set_data_array(data_array, channel_dim, squeeze_end_dims, **kwargs)
        if self.data_obj.ndim == 2:
            self.data_obj = self.data_obj[..., None]

    def set_metadata(self, meta_dict: Mapping[str, Any] | None = None, resample: bool = False, **options: Any) -> None:
        """Take the affine as it is; nothing is resampled.

        MONAI 1.6 cuts an affine to two dimensions on the way, which fails where the first two axes do not span x and y,
        as in sagittal and coronal acquisitions.
        """
        _, self.affine, _ = self.get_meta_info(meta_dict)

    @classmethod
    def create_backend_obj(cls, data_array: Any, affine: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
        """The NIfTI image, in millimetres."""
        image = super().create_backend_obj(data_array, affine, dtype, **kwargs)
        image.header.set_xyzt_units("mm")
        return image

    def write(self, filename: str | os.PathLike[str], verbose: bool = False, **kwargs: Any) -> None:
        """Write beside the destination, then rename.

        The deviation of an earlier image of that name goes first: it would stand beside an image it does not belong to.
        """
        write = super().write
        deviation_of(Path(filename)).unlink(missing_ok=True)
        write_atomically(Path(filename), lambda path: write(str(path), verbose=False, **kwargs))
        logger.info("wrote %s", filename)


def deviation_of(image: Path) -> Path:
    """Where the standard deviation of an image lies: beside it, under its name and a suffix."""
    name, dot, extension = image.name.partition(".")
    return image.with_name(f"{name}{DEVIATION_SUFFIX}{dot}{extension}")
