"""The picture: planes as radiologists see them, and everything that must be written on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.tools.translating.scans import AFFINE, ct_values, mr_values
from translating import picture

CT, MR = ct_values((12, 14, 5)), mr_values((12, 14, 5))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def kept(self: Figure, *arguments: object, **keywords: object) -> None:
        figures.append(self)
        save(self, *arguments, **keywords)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


def draw(path: Path, images: dict[str, np.ndarray] | None = None, affine: np.ndarray = AFFINE, **more: object) -> None:
    default = {"source": CT, "target": MR, "mask": (CT > -500).astype(np.uint8)}
    picture.draw(path, images or default, affine, "ct", "mr", title="knee", **more)


def texts(figure: Figure) -> str:
    return "\n".join(
        [*(text.get_text() for text in figure.texts), *(axes.get_title() for axes in figure.axes)]
        + [text.get_text() for axes in figure.axes for text in axes.texts]
    )


def test_three_planes_of_source_translation_and_mask(tmp_path: Path, drawn: list[Figure]) -> None:
    draw(tmp_path / "qc.png")
    assert len(drawn[0].axes) == 9
    assert [axes.get_ylabel() for axes in drawn[0].axes[::3]] == ["axial", "coronal", "sagittal"]
    assert Image.open(tmp_path / "qc.png").size[0] > 900


def test_a_slice_has_one_plane(tmp_path: Path, drawn: list[Figure]) -> None:
    draw(tmp_path / "qc.png", {"source": CT[..., :1], "target": MR[..., :1]})
    assert len(drawn[0].axes) == 3


def test_a_deviation_has_a_column_of_its_own(tmp_path: Path, drawn: list[Figure]) -> None:
    draw(tmp_path / "qc.png", {"source": CT, "target": MR, "deviation": MR / 10})
    assert len(drawn[0].axes) == 12
    assert "deviation of samples\nMR [0, 200] a.u." in texts(drawn[0])


def test_it_says_that_it_is_synthetic_and_in_which_units(tmp_path: Path, drawn: list[Figure]) -> None:
    draw(tmp_path / "qc.png", footer="bundle 1.0")
    found = texts(drawn[0])
    assert "synthetic image, research use only. bundle 1.0" in found
    assert "SYNTHETIC" in found
    assert "CT [-500, 1000] HU" in found
    assert "MR [0, 1000] a.u." in found


def test_warnings_are_listed_and_the_longest_lists_cut(tmp_path: Path, drawn: list[Figure]) -> None:
    draw(tmp_path / "qc.png", warnings=["first", "second " * 40])
    assert "! first" in texts(drawn[0])
    draw(tmp_path / "more.png", warnings=[f"number {n}" for n in range(30)])
    assert "number 12" in texts(drawn[1])
    assert "number 13" not in texts(drawn[1])
    assert "… more in provenance.json" in texts(drawn[1])


def test_the_patients_right_is_on_the_left_and_anterior_is_up() -> None:
    values = np.zeros((4, 5, 3), np.float32)
    values[3, 4, 1] = 1  # the most right and anterior voxel where axes run to the right, anterior and superior
    upright = picture._Upright.of(values, np.eye(4))
    assert np.argwhere(upright.plane("axial", 1)).tolist() == [[0, 0]]
    assert np.argwhere(upright.plane("coronal", 4)).tolist() == [[1, 0]]
    assert np.argwhere(upright.plane("sagittal", 3)).tolist() == [[1, 0]]


def test_the_order_of_the_axes_in_the_file_does_not_matter() -> None:
    volume = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    first = picture._Upright.of(volume, np.diag([1.0, 2.0, 3.0, 1.0]))
    turned = picture._Upright.of(
        volume[::-1].transpose(2, 0, 1), np.array([[0.0, -1, 0, 2], [0, 0, 2, 0], [3, 0, 0, 0], [0, 0, 0, 1]])
    )
    np.testing.assert_array_equal(turned.values, first.values)
    assert turned.sizes == first.sizes == (1.0, 2.0, 3.0)
