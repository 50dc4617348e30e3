"""Each way in which a written series can be wrong is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from transmodal.dicom import Series, find_series, read_back, read_series, series_grid, validate_series, write_series
from transmodal.errors import InputError

TYPE_1 = """SOPClassUID SOPInstanceUID StudyInstanceUID Modality SeriesInstanceUID FrameOfReferenceUID PixelSpacing
ImagePositionPatient ImageOrientationPatient SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated
BitsStored HighBit PixelRepresentation ImageType PixelData"""
TYPE_2 = """PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName
StudyID SeriesNumber PositionReferenceIndicator Manufacturer InstanceNumber SliceThickness PatientPosition"""
OF = {  # the mandatory modules of tables A.3-1 and A.4-1 of PS3.3 (2025), and PatientPosition, 2C for both
    "ct": (f"{TYPE_1} RescaleIntercept RescaleSlope", f"{TYPE_2} KVP AcquisitionNumber"),
    "mr": (
        f"{TYPE_1} ScanningSequence SequenceVariant",
        f"{TYPE_2} ScanOptions MRAcquisitionType EchoTime EchoTrainLength RepetitionTime",
    ),
}


@pytest.fixture
def output(source: Callable[..., Series], tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray, str]:
    """A folder with a synthetic CT, and what is in it: image, affine and modality."""
    series = source()
    shape, affine = series_grid(series)
    image = np.random.default_rng(0).uniform(-1000, 2000, shape).astype(np.float32)
    write_series(tmp_path / "out", image, affine, series, "ct", {})
    return tmp_path / "out", image, affine, "ct"


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_attributes_of_types_1_and_2_are_all_there(
    source: Callable[..., Series], tmp_path: Path, modality: str
) -> None:
    series = source()
    shape, affine = series_grid(series)
    (file, *_) = write_series(tmp_path / "out", np.random.rand(*shape) * 1000, affine, series, modality, {})
    dataset = pydicom.dcmread(file)
    filled, present = (names.split() for names in OF[modality])
    assert [name for name in filled if name not in dataset or dataset[name].is_empty] == []
    assert [name for name in present if name not in dataset] == []


def test_a_whole_output_passes_and_is_read_back(output: Any) -> None:
    folder, image, affine, _ = output
    validate_series(*output)
    volume, other = read_back(folder)
    np.testing.assert_allclose(volume, image, atol=0.5)
    np.testing.assert_allclose(other, affine)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"KVP": ...}, "an image lacking KVP; wanted a valid synthetic CT image"),
        ({"SourceImageSequence": ...}, "an image without SourceImageSequence"),
        ({"RescaleType": None}, "an image without RescaleType"),
        ({"SyntheticData": "NO"}, "an image with SyntheticData 'NO'"),
        ({"Modality": "MR"}, "an image with Modality 'MR'"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, "with ImageType"),
        ({"InstanceNumber": 2}, "3 different values of InstanceNumber in 4 images; wanted 4"),
        ({"StudyInstanceUID": "1.2.7"}, "2 different values of StudyInstanceUID in 4 images; wanted 1"),
        ({"RescaleIntercept": -1000}, r"000001\.dcm: found values up to 24\.\d+ away from the volume; wanted the same"),
        ({"SeriesInstanceUID": "1.2.7"}, "found 2 DICOM series; wanted exactly one"),
        ({"ImagePositionPatient": [-7.5, 12.25, 299.0]}, "on another grid"),
    ],
)
def test_a_changed_attribute_is_found(output: Any, change: dict[str, Any], told: str) -> None:
    file = output[0] / "000001.dcm"
    dataset = pydicom.dcmread(file)
    for name, value in change.items():
        if value is ...:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(file)
    with pytest.raises(InputError, match=told):
        validate_series(*output)


def test_a_private_attribute_is_found(output: Any) -> None:
    dataset = pydicom.dcmread(output[0] / "000001.dcm")
    dataset.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "secret")
    dataset.save_as(output[0] / "000001.dcm")
    with pytest.raises(InputError, match=r"with private attributes \(0009,0010\), \(0009,1001\)"):
        validate_series(*output)


def test_a_missing_file_is_found(output: Any) -> None:
    (output[0] / "000004.dcm").unlink()
    with pytest.raises(InputError, match=r"another grid than this series: \(10, 12, 4\) voxels against \(10, 12, 3\)"):
        validate_series(*output)


def test_one_other_voxel_is_found(output: Any) -> None:
    folder, image, affine, modality = output
    image = image.copy()
    image[3, 2, 1] += 2
    with pytest.raises(InputError, match=r"000002\.dcm: found values up to (1\.5|2|2\.5|[12]\.\d+) away"):
        validate_series(folder, image, affine, modality)


def test_a_folder_of_several_series_is_not_read_back(output: Any, stack: Callable[..., Path]) -> None:
    stack(2, folder="out", uid="1.2.9", prefix="x")
    with pytest.raises(InputError, match="found 2 DICOM series; wanted exactly one"):
        read_back(output[0])


def test_reading_back_is_reading_the_series(output: Any) -> None:
    (series,) = find_series(output[0])
    np.testing.assert_array_equal(read_back(output[0])[0], read_series(series)[0])
