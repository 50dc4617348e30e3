"""Outlines and differences in their colours, where the masks are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segmentation_bundle.figure import ADDED, MISSED, draw_outlines

from tests.bundles.ct_mr_body_segmentation.cases import LPS, square
from transmodal.handlers import mid_body_view


def pixels_of(path: Path, colour: str) -> int:
    """Pixels near a colour, apart from the few of the key below the panels."""
    wanted = np.array([int(colour[digit : digit + 2], 16) for digit in (1, 3, 5)])
    with Image.open(path) as figure:
        seen = np.asarray(figure.convert("RGB"), dtype=int)
    return int((np.abs(seen - wanted).max(axis=-1) < 30).sum())


@pytest.mark.parametrize(
    ("rows", "colour"), [((4, 8), MISSED), ((2, 12), ADDED)], ids=["what_is_missed", "what_is_added"]
)
def test_differences_are_coloured(rows: tuple[int, int], colour: str, tmp_path: Path) -> None:
    reference = square()
    for name, prediction in (("differs", square(*rows)), ("equal", reference)):
        view = mid_body_view("a", reference, prediction, reference, None, LPS, regions=(reference, prediction))
        draw_outlines([view], tmp_path / f"{name}.png")
    assert pixels_of(tmp_path / "differs.png", colour) > 3 * pixels_of(tmp_path / "equal.png", colour) + 1000


def test_masks_that_are_empty_or_full_are_drawn(tmp_path: Path) -> None:
    """They have no outline."""
    full, empty = square() * 0 + 1, square() * 0
    draw_outlines(
        [mid_body_view("a", square(), empty, full, None, LPS, regions=(full, empty))], tmp_path / "figure.png"
    )
    assert (tmp_path / "figure.png").stat().st_size > 0
