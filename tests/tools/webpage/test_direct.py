"""The radiographs that are shown beside a volume made from one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from transmodal.projection import ConeBeam, Projector, SiddonProjector
from transmodal.transforms import RadiographScale
from webpage.direct import _draw_radiographs


class Workflow:
    """What a finished inference from a radiograph holds."""

    def __init__(self, projector: Projector, given: torch.Tensor) -> None:
        self.parser = self
        self.parts = {"dataset": [{"image": given}], "projector": projector, "intensity": {"xray": RadiographScale()}}

    def get_parsed_content(self, name: str) -> Any:
        return self.parts[name]


@pytest.mark.parametrize("value", [0, -1000])
def test_the_projection_of_a_volume_is_drawn_also_where_it_has_no_density(value: int, tmp_path: Path) -> None:
    volume = np.full((8, 8, 8), -1000, np.int16)
    volume[2:6, 2:6, 2:6] = value
    nib.save(nib.Nifti1Image(volume, np.diag([20.0, 20, 20, 1])), tmp_path / "ct.nii.gz")
    workflow: Any = Workflow(SiddonProjector(ConeBeam(pixels=16, pixel_size=32.0)), torch.zeros(1, 16, 16))
    _draw_radiographs(workflow, tmp_path / "ct.nii.gz", tmp_path)
    drawn = np.asarray(Image.open(tmp_path / "drr.png"))
    assert (drawn.max() > 0) == (value > -1000)
