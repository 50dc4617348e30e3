"""Stands in for pydicom-seg, whose last release does not import beside pydicom 3: it writes DICOM SEG, and no bundle
makes labels to write so."""
