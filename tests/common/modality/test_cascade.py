"""The strongest evidence that speaks decides; the network is asked last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.modality import ModalityClassifier, Verdict, detect
from transmodal.networks.nets import CalibratedClassifier, SliceClassifier
from transmodal.phantom import Thigh, make_case


class Witness(ModalityClassifier):
    """Says MR of everything, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__(CalibratedClassifier(SliceClassifier(channels=(8,), blocks=(1,))))
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, image: Tensor) -> Verdict:
        self.asked.append(tuple(image.shape))
        return Verdict("mr", "network", 0.9, "as always")


@pytest.fixture
def phantom(tmp_path: Path) -> Path:
    for name, image in make_case(Thigh(), seed=1, shape=(40, 40, 6)).items():
        nib.save(nib.Nifti1Image(np.asarray(image[0]), image.affine.numpy()), tmp_path / f"{name}_scan.nii.gz")  # type: ignore[attr-defined, no-untyped-call]
    return tmp_path


def test_a_header_settles_it_before_values_are_read(series: Callable[..., Path]) -> None:
    witness = Witness()
    assert detect(series(change=lambda _: {"Modality": "MR"}), classifier=witness).by == "dicom"
    assert detect(series(folder="pet", change=lambda _: {"Modality": "PT"}), classifier=witness).modality is None
    assert witness.asked == []


def test_hounsfield_units_come_second(phantom: Path) -> None:
    witness = Witness()
    verdict = detect(phantom / "ct_scan.nii.gz", classifier=witness)
    assert (verdict.modality, verdict.by) == ("ct", "hounsfield")
    assert witness.asked == []


def test_the_network_is_asked_last(phantom: Path) -> None:
    witness = Witness()
    assert detect(phantom / "mr_scan.nii.gz", classifier=witness).by == "network"
    assert witness.asked == [(1, 40, 40, 6)]


@pytest.mark.parametrize(("values", "asked"), [(2, 0), (7, 0), (8, 1)])
def test_a_mask_is_no_answer_and_the_network_is_not_asked(tmp_path: Path, values: int, asked: int) -> None:
    witness = Witness()
    image = (torch.arange(9 * 9 * 2) % values).reshape(1, 9, 9, 2)
    verdict = detect(tmp_path / "labels.nii.gz", image=image, classifier=witness)
    assert len(witness.asked) == asked
    assert asked or (verdict.modality is None and f"only {values} different values" in verdict.reason)


def test_without_a_network_it_remains_open(phantom: Path) -> None:
    verdict = detect(phantom / "mr_scan.nii.gz")
    assert (verdict.modality, verdict.by) == (None, "nothing")


def test_voxels_that_are_given_are_not_read_again(tmp_path: Path) -> None:
    witness = Witness()
    detect(tmp_path / "absent.nii.gz", image=torch.rand((1, 9, 9, 2)), classifier=witness)
    assert witness.asked == [(1, 9, 9, 2)]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        detect(tmp_path / "absent.nii.gz")


def test_a_verdict_reads_as_a_sentence() -> None:
    assert str(Verdict("mr", "network", 0.934, "97% of 32 slices")) == "MR (0.93) by network: 97% of 32 slices"
    assert str(Verdict(None, "nothing", None, "no image")) == "no answer by nothing: no image"
