"""DICOM series: found, told apart, checked, read, and written as derived images of a synthetic modality."""

from transmodal.dicom.folders import check_dicom_folder, is_dicom_folder
from transmodal.dicom.radiograph import check_radiograph_file, read_radiograph
from transmodal.dicom.reading import read_series, series_grid, staged
from transmodal.dicom.series import Series, find_series, resolve
from transmodal.dicom.validating import read_back, validate_series
from transmodal.dicom.wrapping import wrap_picture, wrap_volume
from transmodal.dicom.writing import write_apart, write_series

__all__ = [
    "Series",
    "check_dicom_folder",
    "check_radiograph_file",
    "find_series",
    "is_dicom_folder",
    "read_back",
    "read_radiograph",
    "read_series",
    "resolve",
    "series_grid",
    "staged",
    "validate_series",
    "wrap_picture",
    "wrap_volume",
    "write_apart",
    "write_series",
]
