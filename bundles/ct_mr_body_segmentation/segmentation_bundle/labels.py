"""What the network is to find: the mask file of a case, or the body found automatically in the same image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from transmodal.data import as_records, check_same_grid
from transmodal.errors import InputError
from transmodal.transforms import BodyMask, CheckedLoadImaged, EnsureVolumed

AUTOMATIC, MASK = "automatic", "mask"
DRAW = "draw masks (tools/labelme_to_masks.py turns labelme's polygons into them), or use --label_from automatic"


def labelled_records(
    cases: Sequence[dict[str, str]],
    modalities: Sequence[str],
    label_from: str = AUTOMATIC,
    remedy: str = "check the names of the files, or choose the modalities there are",
) -> list[dict[str, str]]:
    """A batch record for every image of the cases: ``case``, ``image``, its ``modality``, perhaps ``label``.

    Args:
        cases: case records; one may lack any of the modalities.
        modalities: what is segmented, such as ct and mr.
        label_from: ``"mask"`` names the case's mask file as label, and leaves out cases without one; ``"automatic"``
            names none, so that :class:`BodyLabeld` finds the body itself.
        remedy: what the error advises where no record is left; an empty text allows that.
    Returns:
        The records of the first modality in the order of the cases, then those of the next.
    Raises:
        InputError: if ``label_from`` is something else, modalities are no list, or no record is left.
    """
    if label_from not in (AUTOMATIC, MASK):
        raise InputError(
            "configuration id 'label_from'",
            found=repr(label_from),
            wanted=f"'{AUTOMATIC}' or '{MASK}'",
            remedy=f"{MASK} reads the file 'mask' of each case, {AUTOMATIC} needs none",
        )
    if isinstance(modalities, str) or not modalities:
        raise InputError(
            "configuration id 'modalities'",
            found=repr(modalities),
            wanted="a list of modalities",
            remedy="list them, such as --modalities \"['ct','mr']\"",
        )
    wanted = {"label": MASK} if label_from == MASK else {}
    records = []
    for modality in modalities:
        of_one = as_records(cases, {"image": modality, **wanted}, optional=(), skip_incomplete=True, remedy="")
        records += [{**record, "modality": modality} for record in of_one]
    if remedy and not records:
        names = " or ".join(modalities)
        first = f"; the first has {_told(cases[0])}" if cases else ""
        raise InputError(
            f"{len(cases)} case{'s' * (len(cases) != 1)}",
            found=f"no case with {names}{' and a mask' * bool(wanted)}{first}",
            wanted=f"images of {names}{', each with a mask' * bool(wanted)}",
            remedy=DRAW if wanted and cases else remedy,
        )
    return records


def _told(case: Mapping[str, str]) -> str:
    files = {name: path for name, path in case.items() if name not in ("case", "patient")}
    return f"{' '.join(files)} ({Path(next(iter(files.values()))).parent})"


class BodyLabeld(MapTransform):
    """Put the body into a sample as its label, on the grid of the image's file: the mask file, or found automatically.

    It reads the image for itself, because it stands before the preprocessing, which changes grid and intensities.

    Args:
        keys: where the labels go, (1, H, W, D) of 0 and 1, float32; the path of a mask file there is read, its values
            but zero are body, and without one the body is found.
        modality: of the images, unless a sample names its own under the key ``modality``.
        body: mask finder of each modality.
        image: key of the image's path.
        raw: key under which the image stays in the sample as it was read, (1, H, W, D); by default it does not.
    Raises:
        InputError: if a file is unusable, the mask lies on another grid than the image, or ``body`` has no entry for
            the modality.
    """

    def __init__(
        self,
        keys: KeysCollection,
        modality: str,
        body: Mapping[str, BodyMask],
        image: str = "image",
        raw: str | None = None,
    ) -> None:
        super().__init__(keys)
        self.modality, self.body, self.image, self.raw = modality, dict(body), image, raw
        self.read_image = CheckedLoadImaged("image", modality=modality)
        self.read_mask = CheckedLoadImaged("mask", modality=MASK)
        self.as_volume = EnsureVolumed(("image", "mask"))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        sample = dict(data)
        path, named = sample[self.image], {key: sample[key] for key in ("case", "modality") if key in sample}
        image = self.as_volume(self.read_image({"image": path, **named}))["image"]
        for key in self.keys:
            sample[key] = self._label(image, path, sample.get(key), named)
        if self.raw is not None:
            sample[self.raw] = image
        return sample

    def _label(self, image: MetaTensor, path: str, file: str | None, named: Mapping[str, str]) -> MetaTensor:
        if file is None:
            return self._finder(named.get("modality", self.modality))(image).float()
        mask = self.as_volume(self.read_mask({"mask": file, "case": named.get("case")}))["mask"]
        check_same_grid(image, mask, path, file)
        return MetaTensor((mask.as_tensor() != 0).to(torch.float32), meta=mask.meta)

    def _finder(self, modality: str) -> BodyMask:
        if modality not in self.body:
            raise InputError(
                "configuration id 'body'",
                found=f"no body mask for the modality {modality!r}",
                wanted=f"one of {', '.join(sorted(self.body))}",
                remedy="choose --modalities among these, add an entry to 'body', or use --label_from mask",
            )
        return self.body[modality]
