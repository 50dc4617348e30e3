"""A synthetic volume that was made of several series of a study names all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.common.dicom.test_writing import TOLD, image_of
from transmodal.dicom import Series, write_series
from transmodal.errors import InputError

Source = Callable[..., Series]


def contrasts(source: Source, extra: dict[str, Any] | None = None, **of_the_last: Any) -> list[Series]:
    """Three series of one study; the last differs in what is given, ``extra`` are its attributes."""
    last = {"change": lambda n: {"SeriesDescription": "flair"} | (extra or {})} | of_the_last
    return [
        source(folder="t1", uid="1.2.3", change=lambda n: {"SeriesDescription": "t1"}),
        source(folder="t2", uid="1.2.4", change=lambda n: {"SeriesDescription": "t2"}),
        source(folder="flair", uid="1.2.5", **last),
    ]


def test_each_image_names_its_place_in_every_series_that_it_was_made_of(source: Source, tmp_path: Path) -> None:
    first, *others = contrasts(source)
    files = write_series(tmp_path / "out", *image_of(first, "mr"), first, "mr", TOLD, others)
    for file, *origins in zip(files, *(series.files for series in (first, *others)), strict=True):
        named = [item.ReferencedSOPInstanceUID for item in pydicom.dcmread(file).SourceImageSequence]
        assert named == [pydicom.dcmread(origin).SOPInstanceUID for origin in origins]
    assert pydicom.dcmread(files[0]).SeriesDescription == "SYNTHETIC MR (AI) from t1 + t2 + flair"
    alone = write_series(tmp_path / "alone", *image_of(first, "mr"), first, "mr", TOLD)
    series = {pydicom.dcmread(made[0]).SeriesInstanceUID for made in (files, alone)}
    assert len(series) == 2


@pytest.mark.parametrize(
    ("differs", "told"),
    [
        ({"step": 2.0}, r"found a source on another grid than .*t1.*: corners up to 3\.00 mm away"),
        ({"count": 5}, r"\(10, 12, 5\) columns, rows and slices, not \(10, 12, 4\)"),
        ({"extra": {"PatientID": "P-8"}}, "the sources of one image with 2 patients"),
        ({"extra": {"StudyInstanceUID": "1.2.7"}}, "the sources of one image with 2 studies"),
        ({"extra": {"FrameOfReferenceUID": "1.2.7"}}, "the sources of one image with 2 frames of reference"),
    ],
)
def test_sources_that_do_not_belong_together_are_refused(
    source: Source, tmp_path: Path, differs: dict[str, Any], told: str
) -> None:
    first, *others = contrasts(source, **differs)
    with pytest.raises(InputError, match=told):
        write_series(tmp_path / "place/out", *image_of(first, "mr"), first, "mr", TOLD, others)
    assert not (tmp_path / "place").exists()
