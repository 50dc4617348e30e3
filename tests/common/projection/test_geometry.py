"""Where source and pixels are, which way the picture hangs, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from transmodal.errors import InputError
from transmodal.projection import ConeBeam


def close(found: torch.Tensor, wanted: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("view", "side"), [("AP", 1.0), ("PA", -1.0)])
def test_source_and_detector_are_on_opposite_sides_of_the_isocentre(view: str, side: float) -> None:
    geometry = ConeBeam(view=view, pixels=(3, 3))
    close(geometry.source, [0, 850 * side, 0])
    close(geometry.detector[1, 1], [0, -350 * side, 0])


@pytest.mark.parametrize("view", ["AP", "PA"])
def test_the_first_pixel_is_on_the_patients_right_at_his_head(view: str) -> None:
    geometry = ConeBeam(view=view, pixels=(4, 6), pixel_size=2.0)
    close(geometry.detector[0, 0, [0, 2]], [5, 3])
    close(geometry.detector[-1, -1, [0, 2]], [-5, -3])


def test_the_defaults_cover_the_published_detector_of_512_mm() -> None:
    geometry = ConeBeam()
    assert geometry.columns * geometry.pixel_size == pytest.approx(512)


def test_a_covering_picture_is_so_wide_at_the_isocentre() -> None:
    geometry = ConeBeam.covering(384, pixels=(100, 200), source_to_detector=1500, source_to_isocentre=1000)
    assert geometry.pixel_at_isocentre * 200 == pytest.approx(384)
    halfway = geometry.source + (geometry.detector - geometry.source) * 1000 / 1500
    assert float(halfway[..., 1].abs().max()) < 1e-9
    assert float(halfway[0, 0, 0] - halfway[0, -1, 0]) == pytest.approx(384 - 384 / 200)  # between outermost middles


def test_a_covering_picture_is_a_standing_chest_radiograph_unless_told() -> None:
    geometry = ConeBeam.covering(384)
    assert geometry.view == "PA"
    assert float(geometry.detector[0, 0, 1] - geometry.source[1]) == pytest.approx(1800)


def test_rotation_about_z_takes_the_source_to_the_patients_left() -> None:
    geometry = ConeBeam(rotation=(90, 0, 0), pixels=(1, 3), pixel_size=1.0)
    close(geometry.source, [-850, 0, 0])
    close(geometry.detector[0, 0], [350, 1, 0])


def test_angles_about_x_and_y_are_those_that_turned_along() -> None:
    """z by 90° makes the patient's y the set-up's x, about which 90° more lift the source from -x to his head."""
    close(ConeBeam(rotation=(90, 90, 0)).source, [0, 0, 850])


def test_rotation_about_y_turns_the_picture_in_its_plane() -> None:
    upright, turned = ConeBeam(pixels=3), ConeBeam(pixels=3, rotation=(0, 0, 180))
    torch.testing.assert_close(turned.detector, upright.detector.flip(0, 1), atol=1e-9, rtol=0)
    torch.testing.assert_close(turned.source, upright.source, atol=1e-9, rtol=0)


def test_translation_turns_along() -> None:
    close(ConeBeam(rotation=(90, 0, 0), translation=(10, 0, 7)).source, [-850, 10, 7])


def test_it_is_made_from_json() -> None:
    config = {"geometry": {"_target_": "transmodal.projection.ConeBeam.covering", "width": 384, "pixels": 64}}
    geometry = ConfigParser(config).get_parsed_content("geometry")
    assert (geometry.rows, geometry.columns, geometry.pixel_at_isocentre) == (64, 64, pytest.approx(6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"view": "lateral"}, "ConeBeam, view: found 'lateral'; wanted one of AP, PA"),
        ({"source_to_detector": -1}, "source_to_detector: found -1; wanted a positive number of mm"),
        ({"source_to_detector": "1200"}, "source_to_detector: found '1200'"),
        ({"source_to_isocentre": 1200}, "source_to_isocentre: found 1200; wanted less than source_to_detector"),
        ({"pixels": 0}, "pixels: found 0; wanted rows and columns"),
        ({"pixels": True}, "pixels: found True"),
        ({"pixels": (4, 4, 4)}, "pixels: found"),
        ({"pixel_size": 0}, "pixel_size: found 0"),
        ({"rotation": (1, 2)}, "rotation: found .1, 2.; wanted three numbers"),
        ({"translation": "0"}, "translation: found '0'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConeBeam(**arguments)


def test_a_width_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(InputError, match="width: found 0"):
        ConeBeam.covering(0)
