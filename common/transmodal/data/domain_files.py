"""Whether each file of a CT or MR domain, judged by its own values, is of that domain."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from transmodal.data.disguised_ct import NEAR, appearance, distances, views
from transmodal.data.layout import MAGNETIC
from transmodal.errors import InputError

if TYPE_CHECKING:
    from transmodal.modality import ModalityClassifier

__all__ = ["ANYWAY", "FEWEST", "Content", "contents_of", "wrong_files"]

logger = logging.getLogger(__name__)

FEWEST = 4
"""Volumes that a domain must have to be compared with."""
SEVERAL, LEAST_SHARE = 2, 0.2
"""So many files that look like another domain, and this share of all, are no coincidence: of 33 real MR, 3 do."""
ANYWAY = "set 'anyway' to true if you know better"


@dataclass(frozen=True)
class Content:
    """What is known of a file: its looks (in HU: those of each window), and the vote of a classifier, if asked."""

    case: str
    path: Path
    in_hounsfield: bool
    looks: NDArray[np.float64]
    vote: str | None


def contents_of(name: str, files: Mapping[str, Path], classifier: ModalityClassifier | None) -> list[Content]:
    """Read the file of each case of a domain; a classifier is asked where the values are not Hounsfield units.

    What is said to be CT need only be able to be in Hounsfield units; what is said to be MR is CT only beyond doubt.
    """
    from transmodal.modality import from_hounsfield, may_be_hounsfield  # only here: both need this package
    from transmodal.transforms.geometry import EnsureVolumed
    from transmodal.transforms.loading import CheckedLoadImaged

    read, to_volume = CheckedLoadImaged("image", modality="image"), EnsureVolumed("image")
    contents = []
    for case, path in files.items():
        image = to_volume(read({"image": path}))["image"].float()
        in_hounsfield = may_be_hounsfield(image) if name == "ct" else from_hounsfield(image).modality == "ct"
        looks = (views if in_hounsfield else appearance)(image[0])
        vote = None if in_hounsfield or classifier is None else classifier(image).modality
        contents.append(Content(case, path, in_hounsfield, looks, vote))
    return contents


def wrong_files(contents: Mapping[str, Sequence[Content]]) -> Iterator[InputError]:
    """Refuse files of the domains ``ct`` and of MR that are not of their domain, naming them.

    Of CT every file must be in Hounsfield units, of MR none. An MR domain of which a fifth of the files, and at least
    two, look like CT without its units is refused as well (see :mod:`transmodal.data.disguised_ct`), and so is a file
    that the classifier votes against. Fewer are only warned of; whom the classifier takes for MR is not counted.
    """
    for name, files in contents.items():
        yield from _wrong_scale(name, files)
        yield from _voted_out(name, files)
    ct = [file for file in contents.get("ct", ()) if file.in_hounsfield]
    for name, files in contents.items():
        if name in MAGNETIC and "ct" in contents:
            yield from _disguised(name, [file for file in files if not file.in_hounsfield], ct)


def _wrong_scale(name: str, files: Sequence[Content]) -> Iterator[InputError]:
    wrong = [file.path for file in files if file.in_hounsfield != (name == "ct")]
    if not wrong:
        return
    if name == "ct":
        yield InputError(
            wrong[0],
            found=f"no Hounsfield units in {len(wrong)} of {len(files)} files of the domain ct{_named(wrong)}",
            wanted="CT: air near -1000, fat near -100, soft tissue near 40",
            remedy=f"put CT in its original units under this name; {ANYWAY}",
        )
    else:
        yield InputError(
            wrong[0],
            found=f"CT in Hounsfield units in the domain {name} ({len(wrong)} of {len(files)} files){_named(wrong)}",
            wanted=f"{name} images only",
            remedy=f"sort the files into the domains again; {ANYWAY}",
        )


def _voted_out(name: str, files: Sequence[Content]) -> Iterator[InputError]:
    kind = "ct" if name == "ct" else "mr"
    wrong = [file.path for file in files if file.vote not in (None, kind)]
    if wrong:
        yield InputError(
            wrong[0],
            found=f"images in the domain {name} that the modality classifier takes for "
            f"{'MR' if kind == 'ct' else 'CT'} ({len(wrong)} of {len(files)} files){_named(wrong)}",
            wanted=f"{name} images only",
            remedy=f"sort the files into the domains again; {ANYWAY}",
        )


def _disguised(name: str, files: Sequence[Content], ct: Sequence[Content]) -> Iterator[InputError]:
    if len(ct) < FEWEST:
        logger.warning("the files of %s are not compared with CT: fewer than %s CTs in Hounsfield units", name, FEWEST)
        return
    away = distances(
        [file.looks for file in files], [file.case for file in files], [c.looks for c in ct], [c.case for c in ct]
    )
    near = [file for file, distance in zip(files, away, strict=True) if distance < NEAR]
    wrong = [file.path for file in near if file.vote != "mr"]
    if wrong and len(wrong) < max(SEVERAL, LEAST_SHARE * len(files)):
        logger.warning("look whether these images of %s are CT: %s%s", name, wrong[0], _named(wrong))
    elif wrong:
        yield InputError(
            wrong[0],
            found=f"images that look like CT without its units in the domain {name} "
            f"({len(wrong)} of {len(files)} files){_named(wrong)}",
            wanted=f"{name} images only",
            remedy=f"sort the files into the domains again; {ANYWAY}",
        )


def _named(files: Sequence[Path]) -> str:
    """The files after the first, which an error names anyway; their folder too, as many are called the same."""
    return f", also {', '.join(str(Path(file.parent.name, file.name)) for file in files[1:])}" if files[1:] else ""
