"""Reading with checks: whatever cannot be translated is refused here, by name, before anything is computed."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import LoadImaged

from transmodal.data.checks import check_image, check_path
from transmodal.data.layout import PICTURES
from transmodal.errors import InputError

__all__ = ["CheckedLoadImaged"]


class CheckedLoadImaged(LoadImaged):
    """MONAI's ``LoadImaged`` (any file or DICOM folder), with errors that name the file and the remedy.

    The class keeps ``LoadImage`` in its name because MONAI Deploy recognises and removes readers by it.

    Args:
        keys: paths to load, (H, W[, D]) in physical units.
        modality: what the files should be, unless a sample names its own under the key ``modality``; some checks make
            sense for one only (an HU scale for CT).
    Raises:
        InputError: if a file is missing, unreadable, empty, constant, not finite, or has channels.
    """

    def __init__(self, keys: KeysCollection, modality: str, allow_missing_keys: bool = True, **reader: Any) -> None:
        with warnings.catch_warnings():  # MONAI announces on every reader list that an optional GPU decoder is absent
            warnings.filterwarnings("ignore", message=".*NvImgCodec.*")
            super().__init__(keys, image_only=True, ensure_channel_first=False, **reader)
        self.allow_missing_keys = allow_missing_keys
        self.modality = modality

    def __call__(self, data: Mapping[Hashable, Any], reader: Any = None) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            modality = str(sample.get("modality", self.modality))
            sample[key] = self._load(Path(str(sample[key])), modality, sample.get("case"))
        return sample

    def _load(self, path: Path, modality: str, case: str | None) -> MetaTensor:
        check_path(path, modality)
        try:
            loaded = self._loader(str(path))
        except Exception as error:  # readers raise whatever they like; the user needs the file's name
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise InputError(
                path,
                found=f"a file that cannot be read ({reason})",
                wanted="a complete NIfTI, MHA, NRRD, PNG or JPEG file or a folder of one DICOM series",
                remedy="copy or convert the file again; it may be truncated",
            ) from error
        # MONAI Label sets image_only to False on the readers of a bundle, which then return the metadata as well
        image: MetaTensor = loaded[0] if isinstance(loaded, tuple) else loaded
        check_image(image, modality, path)
        if path.suffix.lower() in PICTURES:  # shown as radiologists see it: columns run to the left, rows to the back
            image.affine = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
        image.meta["case"] = case or path.name.split(".")[0]
        return image
