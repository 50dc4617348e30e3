"""Pictures of masks show colours where something is marked, and nothing else."""

from __future__ import annotations

import numpy as np
from PIL import Image

from annotation.overlay import LINE, overlay
from annotation.palette import voc_colours

PICTURE = Image.fromarray(np.full((30, 40, 3), 100, np.uint8))
INDICES = np.zeros((30, 40), np.uint8)
INDICES[5:15, 5:20] = 2


def test_unmarked_pixels_stay_as_they_are_and_outlines_have_the_full_colour() -> None:
    shown = np.asarray(overlay(PICTURE, INDICES, {2: "body"}))[:30]
    assert (shown[INDICES == 0][:200] == 100).all()
    assert shown[5, 10].tolist() == voc_colours()[2].tolist()
    assert shown[10, 10].tolist() == [60, 111, 60]  # 60 % grey 100, 40 % green 128


def test_the_legend_has_a_line_for_each_index_that_occurs() -> None:
    assert overlay(PICTURE, INDICES, {2: "body", 3: "arm"}).size == (40, 30 + LINE)
    assert overlay(PICTURE, INDICES, {}).size == (40, 30)
