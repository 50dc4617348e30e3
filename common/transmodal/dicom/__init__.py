"""DICOM series: found, told apart, checked, read, and written as derived images of a synthetic modality."""

from transmodal.dicom.folders import check_dicom_folder, is_dicom_folder
from transmodal.dicom.series import Series, find_series, resolve

__all__ = ["Series", "check_dicom_folder", "find_series", "is_dicom_folder", "resolve"]
