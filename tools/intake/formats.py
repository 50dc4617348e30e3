"""The layouts that tools/datalist.py converts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from intake.conversion import Format
from intake.matlab import MatFiles
from intake.picture_stacks import PicturesByPatient
from intake.pictures import PicturesAB, PicturesByClass
from transmodal.errors import InputError

FORMATS: dict[str, Callable[..., Format]] = {
    "pictures-ab": PicturesAB,
    "pictures-classes": PicturesByClass,
    "pictures-patients": PicturesByPatient,
    "mat": MatFiles,
}


def make_format(name: str, modalities: Mapping[str, str], options: Mapping[str, Any]) -> Format:
    """A layout by its name.

    Args:
        name: one of ``FORMATS``.
        modalities: modality of each folder or contrast.
        options: what the user asked for besides, by the names of the layout's arguments.
    Raises:
        InputError: if there is no such layout, or it has no such option or does not accept its value.
    """
    if name not in FORMATS:
        raise InputError("--from", found=name, wanted=f"one of {', '.join(FORMATS)}", remedy="correct the name")
    taken = {form: inspect.signature(made).parameters for form, made in FORMATS.items()}
    for option in options:
        if option not in taken[name]:
            others = ", ".join(form for form, names in taken.items() if option in names)
            raise InputError(
                f"--{option}", found=f"it with --from {name}", wanted=f"it with {others} only", remedy="leave it out"
            )
    return FORMATS[name](modalities, **options)
