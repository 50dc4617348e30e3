"""What the autoencoder trains on: volumes of both modalities, mixed and without pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transmodal.data import as_records

__all__ = ["mixed_records", "reconstruction_records"]


def mixed_records(
    cases: Sequence[dict[str, str]], modalities: Sequence[str], body_from: str | None = None
) -> list[dict[str, Any]]:
    """A batch record for each image of each case, whatever it shows; a case may have one of the modalities only.

    Args:
        cases: case records.
        modalities: those that one autoencoder is to serve.
        body_from: modality of the files that hold body masks, such as ``"mask"``; masks are found in the images if
            null.
    Returns:
        ``{"case": ..., "image": path, "modality": ...}``, and ``body_image`` with the path of the mask, modality by
        modality.
    Raises:
        InputError: if no case has a modality, or one with an image lacks the mask.
    """
    keys = {name: {"image": name, "body_image": body_from} for name in modalities}
    return [{**record, "modality": name} for name in modalities for record in as_records(cases, keys[name], ("image",))]


def reconstruction_records(
    cases: Sequence[dict[str, str]],
    modality: str,
    body_from: str | None = None,
    remedy: str = "hold cases out for validation",
) -> list[dict[str, Any]]:
    """A batch record for each case with an image of ``modality``, which is both source and target.

    Args:
        cases: case records.
        modality: of the images to reconstruct.
        body_from: as for :func:`mixed_records`.
        remedy: what the error advises where no case has one; an empty text allows that.
    Returns:
        ``{"case": ..., "image": path, "label": the same, "modality": ...}``, and ``mask`` where a case has one.
    Raises:
        InputError: if no case has the modality.
    """
    keys = {"image": modality, "label": modality, "mask": "mask", "body_image": body_from}
    records = as_records(cases, keys, skip_incomplete=True, remedy=remedy)
    return [{**record, "modality": modality} for record in records]
