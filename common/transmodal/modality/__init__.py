"""CT or MR? What an image is, where nobody vouches for it."""

from transmodal.modality.cascade import detect
from transmodal.modality.classifier import ModalityClassifier
from transmodal.modality.headers import from_dicom
from transmodal.modality.hounsfield import from_hounsfield, may_be_hounsfield
from transmodal.modality.verdict import CLASSES, Verdict
from transmodal.modality.view import as_seen, evenly_spaced, seen_slices
from transmodal.modality.votes import SliceVotes, decide

__all__ = [
    "CLASSES",
    "ModalityClassifier",
    "SliceVotes",
    "Verdict",
    "as_seen",
    "decide",
    "detect",
    "evenly_spaced",
    "from_dicom",
    "from_hounsfield",
    "may_be_hounsfield",
    "seen_slices",
]
