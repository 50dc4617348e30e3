"""A MONAI Deploy application: a DICOM series in, a bundle between, a synthetic DICOM series out."""
