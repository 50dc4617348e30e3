"""Folders of 8-bit or 16-bit pictures, as published CycleGAN and StarGAN code reads them: one picture, one case.

Modalities are unpaired there: files of one name in two folders are not taken for a pair.
"""

from __future__ import annotations

import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from intake.conversion import Item
from transmodal.data import MODALITIES, check_image
from transmodal.data.layout import LABELS, PICTURES, visible
from transmodal.errors import InputError

SECTION_NAMES = {"train": "training", "val": "validation", "valid": "validation", "test": "test"}
SUFFIXES = (*PICTURES, ".bmp", ".tif", ".tiff")
COLOUR = 2  # grey levels by which the channels of a grey JPEG may differ
Picture = NDArray[np.uint8] | NDArray[np.uint16]


class Pictures(ABC):
    """Folders of pictures, each a domain of a section.

    Args:
        modalities: modality of each domain.
        window: Hounsfield units of black and white in CT pictures; CT is then written as NIfTI in Hounsfield units.
        patient: regular expression that finds the patient in a file name without extension (its first group, or all of
            the match); without it each picture counts as a patient of its own.
    Raises:
        InputError: if a modality is unknown, the window is missing for CT or has no width, or ``patient`` is no regular
            expression.
    """

    def __init__(
        self, modalities: Mapping[str, str], window: Sequence[float] | None = None, patient: str | None = None
    ) -> None:
        self.modalities, self.window = dict(modalities), window
        unknown = [name for name in self.modalities.values() if name not in MODALITIES or name in LABELS]
        if unknown:
            images = [name for name in MODALITIES if name not in LABELS]
            raise InputError(
                "the modalities", found=", ".join(unknown), wanted=" ".join(images), remedy="correct the names"
            )
        if "ct" in self.modalities.values() and window is None:
            raise InputError(
                "--window",
                found="CT pictures without a window",
                wanted="the Hounsfield units of black and white, such as --window=-1000,1040",
                remedy="give the window the pictures were exported with; errors in HU are as good as this guess",
            )
        if window is not None and not _is_window(window):
            raise InputError("--window", found=f"{window}", wanted="LOW,HIGH with LOW < HIGH", remedy="correct it")
        try:
            self.patient = re.compile(str(patient)) if patient is not None else None
        except re.error as error:
            raise InputError(
                "--patient", found=f"{patient!r} ({error})", wanted="a regular expression", remedy="correct it"
            ) from error

    @property
    @abstractmethod
    def wanted(self) -> tuple[str, str]:
        """What the folders are called, and what to do if they are not."""

    @abstractmethod
    def folders(self, source: Path) -> list[tuple[str, str, Path]]:
        """(section, domain, folder) of every folder of pictures."""

    def items(self, source: Path) -> Iterator[Item]:
        """Every picture, as the case ``<folder>_<name>``."""
        folders = self.folders(source)
        domains = sorted({domain for _, domain, _ in folders})
        given = " ".join(f"{domain}={modality}" for domain, modality in self.modalities.items())
        if not folders or set(domains) != set(self.modalities):
            raise InputError(
                source,
                found=f"the domains {', '.join(domains)}" if folders else f"{_some(source)}, but no such folder",
                wanted=f"{self.wanted[0]}, and the modality of each domain (given: {given or 'none'})",
                remedy=self.wanted[1],
            )
        for section, domain, folder in folders:
            pictures = [path for path in visible(folder) if path.suffix.lower() in SUFFIXES]
            self._check_names(folder, pictures)
            prefix = "_".join(folder.relative_to(source).parts)
            for path in pictures:
                yield self._item(section, self.modalities[domain], f"{prefix}_{path.stem}", path)

    def _item(self, section: str, modality: str, case: str, path: Path) -> Item:
        window = self.window if modality == "ct" else None
        extension = ".nii.gz" if window is not None else _kept(path) or ".png"
        return Item(section, case, self._patient(path), modality, extension, partial(_write, path, modality, window))

    def _patient(self, path: Path) -> str | None:
        if self.patient is None:
            return None
        match = self.patient.search(path.stem)
        if match is None:
            raise InputError(
                path,
                found=f"no match of {self.patient.pattern!r} in the name",
                wanted="the patient in every file name",
                remedy="correct --patient, or leave it out",
            )
        return match.group(1 if match.groups() else 0)

    def _check_names(self, folder: Path, pictures: Sequence[Path]) -> None:
        stems = [path.stem for path in pictures]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1}) if len(set(stems)) < len(stems) else []
        if twice or not pictures:
            raise InputError(
                folder,
                found=f"pictures of one name: {', '.join(twice)}" if twice else "no pictures",
                wanted=f"pictures ({' '.join(SUFFIXES)}) with different names",
                remedy="rename or remove some" if twice else "check the folder",
            )


class PicturesAB(Pictures):
    """``trainA trainB testA testB`` (and ``valA valB``), as published CycleGAN code has it; domains ``A`` and ``B``."""

    wanted = (
        "trainA/ trainB/ testA/ testB/ with pictures",
        "give the folder that holds them, with --a and --b, such as --a ct --b mr",
    )

    def folders(self, source: Path) -> list[tuple[str, str, Path]]:
        """(section, domain, folder) of every folder of pictures."""
        names = {f"{part}{domain}": (section, domain) for part, section in SECTION_NAMES.items() for domain in "AB"}
        return [(*names[folder.name], folder) for folder in visible(source) if folder.name in names and folder.is_dir()]


class PicturesByClass(Pictures):
    """``train/<class>/ test/<class>/`` (or only ``<class>/``), as published StarGAN code has it for RaFD.

    One level too high, ``train`` and ``test`` would be taken for the classes and a network would learn to translate
    nothing; here they are known for what they are.
    """

    wanted = (
        "train/<class>/ test/<class>/ with pictures",
        "give the folder that holds them, and CLASS=MODALITY for each class, such as CT=ct MRI=mr",
    )

    def folders(self, source: Path) -> list[tuple[str, str, Path]]:
        """(section, domain, folder) of every folder of pictures."""
        parts = [folder for folder in visible(source) if folder.is_dir() and folder.name in SECTION_NAMES]
        if not parts:
            return [("training", folder.name, folder) for folder in visible(source) if folder.is_dir()]
        return [
            (SECTION_NAMES[part.name], folder.name, folder)
            for part in parts
            for folder in visible(part)
            if folder.is_dir()
        ]


def _is_window(window: Any) -> bool:
    numbers = isinstance(window, tuple | list) and all(isinstance(bound, int | float) for bound in window)
    return numbers and len(window) == 2 and window[0] < window[1]


def _kept(path: Path) -> str:
    """The extension of a picture that is fit to be copied as it is; empty for one that must be written anew."""
    try:
        with Image.open(path) as image:
            return path.suffix.lower() if path.suffix.lower() in PICTURES and image.mode in ("L", "I;16") else ""
    except OSError:
        return ""  # reading it will tell what is wrong


def _write(path: Path, modality: str, window: Sequence[float] | None, place: Path) -> None:
    """Check a picture and write it: CT in Hounsfield units, others as they are if they are grey already."""
    grey = _grey(path)
    image = torch.from_numpy(np.ascontiguousarray(grey.T, dtype=np.float32))[None]
    if window is not None:
        low, high = window
        image = (low + image / np.iinfo(grey.dtype).max * (high - low)).round()
    check_image(image, modality, path)
    if window is not None:
        # the order of axes, and the identity for an affine, are what MONAI gives the pictures of the other modality
        nibabel.save(nibabel.Nifti1Image(image[0].numpy().astype(np.int16), np.eye(4)), place)
    elif _kept(path):
        shutil.copyfile(path, place)
    else:
        Image.fromarray(grey).save(place)


def _grey(path: Path) -> Picture:
    """The pixels of a picture (row, column), one channel, 8 or 16 bits."""
    try:
        with Image.open(path) as image:
            if image.mode in ("I", "F"):
                raise ValueError(f"mode {image.mode} of 32 bits per pixel")
            grey = image.mode in ("L", "I;16")
            pixels: NDArray[Any] = np.asarray(image if grey else image.convert("L" if image.mode == "1" else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            path, found=f"no picture of 8 or 16 bits ({error})", wanted="a whole picture", remedy="export it again"
        ) from error
    if pixels.ndim == 3:
        spread = int(np.ptp(pixels.astype(int), axis=2).max())
        if spread > COLOUR:
            raise InputError(
                path,
                found=f"colours (channels differ by up to {spread} of 255)",
                wanted="shades of grey",
                remedy="remove coloured marks and overlays, or leave this picture out",
            )
        pixels = pixels[..., 1]
    return pixels


def _some(folder: Path, limit: int = 6) -> str:
    names = [entry.name for entry in visible(folder)]
    return (", ".join(names[:limit]) + (" …" if len(names) > limit else "")) or "an empty folder"
