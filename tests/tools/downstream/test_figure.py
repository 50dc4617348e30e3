"""The figure: which slice, which way up, and that it is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from PIL import Image

from downstream.data import Subject
from downstream.figure import Panel, draw, panels_of
from downstream.scoring import Score

RAS = torch.diag(torch.tensor([2.0, 1.0, 3.0, 1.0], dtype=torch.float64))


def panels(lesion: torch.Tensor) -> dict[str, Panel]:
    """A bright voxel at the right front of slice 2; the body is everything."""
    image = torch.full((1, 12, 20, 5), -1.0)
    image[0, 0, 19, 2] = 1  # in RAS the first voxel is the leftmost, the last row the foremost
    flair = MetaTensor(image, affine=RAS)
    subject = Subject("case", {"flair": flair}, {"model": flair}, torch.ones_like(image) > 0, lesion)
    found = {"real": lesion, "model": ~lesion, "missing": ~lesion}
    return panels_of(subject, found, [Score("case", name, 0.5, 1.0, 1.0) for name in found], "flair", 0.25)


def test_the_slice_with_most_lesion_is_shown_front_up_and_right_on_the_left() -> None:
    lesion = torch.zeros(1, 12, 20, 5, dtype=torch.bool)
    lesion[0, 11, :4, 2] = True
    lesion[0, 11, :3, 4] = True
    shown = panels(lesion)
    assert list(shown) == ["real", "model", "missing"]
    assert shown["real"].image.shape == (20, 12)
    assert np.argwhere(shown["real"].image > 0).tolist() == [[0, 11]]  # the left is on the right, the front above
    assert np.argwhere(shown["real"].truth).tolist() == [[16, 0], [17, 0], [18, 0], [19, 0]]
    assert np.array_equal(shown["real"].found, shown["real"].truth)
    assert np.array_equal(shown["model"].found, ~shown["model"].truth)
    assert set(shown["missing"].image.flatten().tolist()) == {0.25}
    assert shown["real"].aspect == 0.5  # rows are 1 mm high, columns 2 mm wide


def test_a_case_without_lesion_shows_its_middle() -> None:
    shown = panels(torch.zeros(1, 12, 20, 5, dtype=torch.bool))
    assert shown["real"].image.max() == 1
    assert not shown["real"].truth.any()


def test_a_row_per_case_is_drawn_with_outlines(tmp_path: Path) -> None:
    lesion = torch.zeros(1, 12, 20, 5, dtype=torch.bool)
    lesion[0, 4:8, 5:12, 2] = True
    draw({"one": panels(lesion), "two": panels(lesion)}, "flair", tmp_path / "figure.png")
    colours = np.asarray(Image.open(tmp_path / "figure.png").convert("RGB")).reshape(-1, 3)
    for colour in ((255, 20, 147), (255, 215, 0)):  # deep pink and gold
        assert (np.abs(colours.astype(int) - colour).max(axis=1) < 30).sum() > 20
