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

from PIL import Image

from intake.conversion import SECTION_NAMES, Item, section_folders, some
from intake.grey import SUFFIXES, check_grey, check_pictures_of, read_grey, write_grey
from transmodal.data.layout import PICTURES
from transmodal.errors import InputError
from transmodal.files import visible

EACH_ITS_OWN = "each picture counts as a patient; --patient REGEX keeps slices of one patient together"


def patient_pattern(patient: str | None) -> re.Pattern[str] | None:
    """The regular expression that finds the patient in a name, if one was given.

    Raises:
        InputError: if it is no regular expression.
    """
    try:
        return None if patient is None else re.compile(str(patient))
    except re.error as error:
        raise InputError(
            "--patient", found=f"{patient!r} ({error})", wanted="a regular expression", remedy="correct it"
        ) from error


def patient_in(name: str, pattern: re.Pattern[str], where: str | Path) -> str:
    """The patient in a name: the first group of the pattern, or all of its match.

    Raises:
        InputError: naming ``where``, if the pattern does not match.
    """
    match = pattern.search(name)
    if match is None:
        raise InputError(
            where,
            found=f"no match of {pattern.pattern!r} in the name",
            wanted="the patient in every file name",
            remedy="correct --patient, or leave it out",
        )
    return match.group(1 if match.groups() else 0)


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

    held_out = 0.15

    def __init__(
        self, modalities: Mapping[str, str], window: Sequence[float] | None = None, patient: str | None = None
    ) -> None:
        self.modalities, self.window = dict(modalities), window
        check_pictures_of(self.modalities, window)
        self.patient = patient_pattern(patient)
        self.warnings = [] if self.patient else [EACH_ITS_OWN]

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
                found=f"the domains {', '.join(domains)}" if folders else f"{some(source)}, but no such folder",
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
        return None if self.patient is None else patient_in(path.stem, self.patient, path)

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
        return [
            (section, folder.name, folder)
            for section, part in section_folders(source)
            for folder in visible(part)
            if folder.is_dir()
        ]


def _kept(path: Path) -> str:
    """The extension of a picture that is fit to be copied as it is; empty for one that must be written anew."""
    try:
        with Image.open(path) as image:
            return path.suffix.lower() if path.suffix.lower() in PICTURES and image.mode in ("L", "I;16") else ""
    except OSError:
        return ""  # reading it will tell what is wrong


def _write(path: Path, modality: str, window: Sequence[float] | None, place: Path) -> None:
    """Check a picture and write it: CT in Hounsfield units, others as they are if they are grey already."""
    grey = read_grey(path)
    if window is None and _kept(path):
        check_grey(grey, modality, None, path)
        shutil.copyfile(path, place)
    else:
        write_grey(grey, modality, window, place, path)
