"""Where the body is: found by the translating bundle's own finder, or by a bundle that segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.bundle import ConfigWorkflow
from monai.data import MetaTensor

from translating.model import Model
from translating.picture import DISPLAY
from translating.staging import MASK, Stage, body_of
from transmodal.data import check_same_grid
from transmodal.data.layout import MODALITY_OF
from transmodal.errors import InputError
from transmodal.transforms import BodyMask

__all__ = ["AutomaticMask", "MaskMaker", "NoMask", "SegmentedMask"]


class AutomaticMask:
    """The body by threshold, as the translating bundle itself finds it."""

    identity: Any = "automatic"

    def __call__(self, image: MetaTensor, source: str, stage: Stage, workflow: ConfigWorkflow) -> np.ndarray:
        """The body, (H, W, D) uint8 on the scan's grid."""
        finders = workflow.parser.get_parsed_content("body") if "body" in workflow.parser else {}
        found = finders.get(source, DISPLAY[source].body)
        return body_of(image, found if isinstance(found, BodyMask) else DISPLAY[source].body)


class NoMask:
    """No mask is written; a bundle that scales by its body still finds that for itself."""

    identity: Any = "none"

    def __call__(self, image: MetaTensor, source: str, stage: Stage, workflow: ConfigWorkflow) -> None:
        """Nothing."""


@dataclass(frozen=True)
class SegmentedMask:
    """The body as a bundle segments it.

    Args:
        model: a bundle whose inference writes ``<case>/mask.nii.gz`` on the scan's grid.
    """

    model: Model

    @property
    def identity(self) -> Any:
        return self.model.identity()

    def __call__(self, image: MetaTensor, source: str, stage: Stage, workflow: ConfigWorkflow) -> np.ndarray:
        """The body, (H, W, D) uint8 on the scan's grid.

        Raises:
            InputError: if the bundle writes no mask, or one on another grid.
        """
        output, modality = stage.folder.with_name("segmentation"), MODALITY_OF[source]
        if modality != source:  # bundles that segment know no contrasts of MR
            stage.name(modality, image)
        with self.model.opened(dataset_dir=str(stage.folder), output_dir=str(output), source=modality) as segmentation:
            segmentation.run()
        return _read(output / stage.scan.case / MASK, image, self.model.bundle.name)


MaskMaker = AutomaticMask | NoMask | SegmentedMask


def _read(path: Path, image: MetaTensor, bundle: str) -> np.ndarray:
    if not path.is_file():
        raise InputError(
            f"--segmentation {bundle}",
            found="a bundle that wrote no <case>/mask.nii.gz",
            wanted="a bundle that segments the body",
            remedy="name ct_mr_body_segmentation, automatic or none",
        )
    volume = nibabel.load(path)
    mask = (np.asanyarray(volume.dataobj) > 0).astype(np.uint8)
    found = MetaTensor(mask[None], affine=volume.affine)
    check_same_grid(image, found, "the scan", f"the mask of {bundle}")
    return mask
