"""Our layout: ``<case>/<modality>`` with the picture's intensities, and ``<case>/mask.nii.gz`` with 1 in the body."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from annotation.overlay import overlay
from annotation.picture import displayed
from annotation.source import Annotated
from intake.grey import AS_SHOWN, grey_of, write_grey
from intake.pictures import patient_in
from intake.splits import Split
from transmodal.data.layout import SECTIONS, Case
from transmodal.data.sections import LIST_NAME, check_sections, write_sections
from transmodal.errors import InputError

BODY = "body"


class CaseLayout:
    """Writes annotated pictures as cases, with their ``dataset.json``.

    The mask lies voxel by voxel on the picture when both are loaded: columns run to the patient's left, rows to the
    back, pixels count as 1 mm.

    Args:
        modality: what the pictures are.
        body: the numbers of the classes that make up the body.
        window: Hounsfield units of black and white in CT pictures, which are then written as NIfTI.
        patient: regular expression that finds the patient in a picture's name.
        split: how patients are divided.
        made: how the data set is made, for ``dataset.json``.
        overlays: write ``<case>/overlay.png`` too, for a person to look at.
        empty_masks: write masks without body too, which are refused where a mask is read; by default such a case has
            none, so that its body is found automatically, and no network learns that there is none.
    """

    def __init__(
        self,
        modality: str,
        body: Sequence[int],
        split: Split,
        made: Mapping[str, Any],
        window: Sequence[float] | None = None,
        patient: re.Pattern[str] | None = None,
        overlays: bool = True,
        empty_masks: bool = False,
    ) -> None:
        self.modality, self.body, self.split, self.made = modality, list(body), split, dict(made)
        self.window, self.patient, self.overlays, self.empty_masks = window, patient, overlays, empty_masks
        self.cases: list[Case] = []
        self.without_body: list[str] = []

    @property
    def warnings(self) -> list[str]:
        """What the user should know; complete when all is written."""
        if not self.without_body:
            return list(self.split.warnings)
        told = ", ".join(self.without_body[:8]) + (" …" if len(self.without_body) > 8 else "")
        fate = "have masks that are empty, which the bundles refuse" if self.empty_masks else "get no mask"
        return [*self.split.warnings, f"{len(self.without_body)} cases without body {fate}: {told}"]

    def write(self, annotated: Annotated, folder: Path) -> None:
        """Write one picture and its mask as a case below ``folder``.

        Raises:
            InputError: if the picture cannot be an image of the modality, or no patient is in its name.
        """
        name, where = annotated.name, annotated.where
        case: Case = {"case": name}
        if self.patient is not None:
            case["patient"] = patient_in(name, self.patient, where)
        (folder / name).mkdir(parents=True, exist_ok=True)
        image = f"{name}/{self.modality}{'.png' if self.window is None else '.nii.gz'}"
        self._picture(annotated, folder / image)
        case[self.modality] = image
        mask = np.isin(annotated.classes, self.body).astype(np.uint8)
        self.without_body += [name] * (not mask.any())
        if mask.any() or self.empty_masks:
            case["mask"] = f"{name}/mask.nii.gz"
            nibabel.save(nibabel.Nifti1Image(mask.T, np.diag([*AS_SHOWN, 1.0, 1.0])), folder / case["mask"])
        if self.overlays:
            overlay(displayed(annotated.picture), mask, {1: BODY}).save(folder / name / "overlay.png")
        self.cases.append(case)

    def finish(self, folder: Path) -> None:
        """Divide the cases by patient and write the list.

        Raises:
            InputError: if they cannot be divided so.
        """
        given = {section: self.cases if section == "training" else [] for section in SECTIONS}
        sections = self.split.divide(given, [self.modality])
        check_sections(sections, folder)
        write_sections(folder / LIST_NAME, sections, self.made | self.split.made)

    def _picture(self, annotated: Annotated, place: Path) -> None:
        try:
            grey = grey_of(annotated.picture, annotated.where)
        except InputError:
            raise
        except ValueError as error:
            remedy = "export it again with 8 or 16 bits"
            raise InputError(annotated.where, found=f"{error}", wanted="a grey picture", remedy=remedy) from error
        write_grey(grey, self.modality, self.window, place, annotated.where)
