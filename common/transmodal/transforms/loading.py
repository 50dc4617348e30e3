"""Reading with checks: whatever cannot be translated is refused here, by name, before anything is computed or written."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import LoadImaged

from transmodal.data.checks import check_image, check_path
from transmodal.errors import InputError

__all__ = ["CheckedLoadImaged"]


class CheckedLoadImaged(LoadImaged):
    """MONAI's ``LoadImaged`` (any file or DICOM folder), with errors that name the file and the remedy.

    The class keeps ``LoadImage`` in its name because MONAI Deploy recognises and removes readers by it.

    Args:
        keys: paths to load, (H, W[, D]) in physical units.
        modality: what the files should be, for checks that only make sense for one (an HU scale for CT).
    Raises:
        InputError: if a file is missing, unreadable, empty, constant, not finite, or has channels.
    """

    def __init__(
        self, keys: KeysCollection, modality: str, allow_missing_keys: bool = True, **reader: Any
    ) -> None:
        super().__init__(keys, image_only=True, ensure_channel_first=False, allow_missing_keys=allow_missing_keys, **reader)
        self.modality = modality

    def __call__(self, data: Mapping[Hashable, Any], reader: Any = None) -> dict[Hashable, Any]:
        sample = dict(data)
        for key in self.key_iterator(sample):
            sample[key] = self._load(Path(str(sample[key])), sample.get("case"))
        return sample

    def _load(self, path: Path, case: str | None) -> MetaTensor:
        check_path(path)
        try:
            image = self._loader(str(path))
        except Exception as error:  # readers raise whatever they like; the user needs the file's name
            raise InputError(
                path,
                found=f"a file that cannot be read ({str(error).strip().splitlines()[-1][:200]})",
                wanted="a complete NIfTI, MHA, NRRD, PNG or JPEG file or a folder of one DICOM series",
                remedy="copy or convert the file again; it may be truncated",
            ) from error
        check_image(image, self.modality, str(path))
        image.meta["case"] = case or path.name.split(".")[0]
        return image
