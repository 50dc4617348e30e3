"""What a synthetic image says of itself, of its plane and of its thickness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.common.dicom.conftest import AXIAL, CORONAL, SAGITTAL, by_itk, by_simpleitk
from tests.common.dicom.test_writing import TOLD, image_of, written
from transmodal.dicom import Series, find_series, read_series, write_series

Source = Callable[..., Series]


def test_it_is_an_image_of_the_modality_it_imitates_and_says_that_it_is_synthetic(
    source: Source, tmp_path: Path
) -> None:
    for dataset in written(source(), tmp_path / "out_mr", "mr"):
        assert (dataset.SOPClassUID.name, dataset.Modality) == ("MR Image Storage", "MR")
        assert dataset.ImageType == ["DERIVED", "PRIMARY", "AXIAL", "SYNTHETIC"]
        assert (dataset.SyntheticData, dataset.ContentQualification) == ("YES", "RESEARCH")
        assert dataset.ImageComments == "Synthetic - not for diagnosis"
        assert dataset.SeriesDescription == "SYNTHETIC MR (AI) from axial"
        assert dataset.DerivationDescription.startswith("Synthetic MR, not acquired: computed by a neural network")
        codes = [(item.CodeValue, item.CodeMeaning) for item in dataset.DerivationCodeSequence]
        assert codes == [("110001", "Image Processing"), ("123110", "Artificial Intelligence")]
    assert (
        written(source(uid="1.2.4", folder="other"), tmp_path / "out_ct", "ct")[0].SOPClassUID.name
        == "CT Image Storage"
    )


@pytest.mark.parametrize(("orientation", "word"), [(AXIAL, "AXIAL"), (CORONAL, "CORONAL"), (SAGITTAL, "SAGITTAL")])
def test_the_third_value_of_the_image_type_is_the_plane_of_mr_and_axial_for_every_section_of_ct(
    source: Source, tmp_path: Path, orientation: list[float], word: str
) -> None:
    series = source(orientation=orientation)
    assert written(series, tmp_path / "out_mr", "mr")[0].ImageType[2] == word
    assert written(series, tmp_path / "out_ct", "ct")[0].ImageType[2] == "AXIAL"


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_a_single_slice_is_read_as_thick_as_its_source(source: Source, tmp_path: Path, modality: str) -> None:
    """ITK passes over the thickness of a lone slice; it looks for the distance to the next."""
    series = source(count=1)
    image, affine = image_of(series, modality)
    write_series(tmp_path / "out", image, affine, series, modality, TOLD)
    for read in (by_itk, by_simpleitk, lambda folder: read_series(find_series(folder)[0])):
        np.testing.assert_allclose(read(tmp_path / "out")[1], affine, atol=1e-4)
    assert affine[2, 2] == 2.5


def test_a_single_slice_of_unknown_thickness_is_given_none(source: Source, tmp_path: Path) -> None:
    (dataset,) = written(source(count=1, change=lambda n: {"SliceThickness": None}), tmp_path / "out")
    assert "SpacingBetweenSlices" not in dataset


def test_the_moment_is_told_by_the_clock_of_the_source(source: Source, tmp_path: Path) -> None:
    series = source(change=lambda n: {"TimezoneOffsetFromUTC": "-0530"})
    (dataset, *_) = written(series, tmp_path / "out", created="2026-01-01T02:00:00+00:00")
    assert (dataset.SeriesDate, dataset.SeriesTime) == ("20251231", "203000")


@pytest.mark.parametrize("offset", ["+2400", "x1200", "-9999", "-0060", "+1500", "0530", "+05:30"])
def test_an_offset_that_there_cannot_be_is_left_out_and_the_moment_is_the_local_one(
    source: Source, tmp_path: Path, offset: str
) -> None:
    (dataset, *_) = written(source(change=lambda n: {"TimezoneOffsetFromUTC": offset}), tmp_path / "out")
    assert "TimezoneOffsetFromUTC" not in dataset
    assert (dataset.SeriesDate, dataset.SeriesTime) == ("20260131", "120005")
