"""Which files the autoencoder is trained and validated on."""

from __future__ import annotations

import pytest
from mddga_bundle.volumes import mixed_records, reconstruction_records

from transmodal.errors import InputError

CASES = [
    {"case": "a", "ct": "/a/ct.mha", "mr": "/a/mr.mha", "mask": "/a/mask.mha"},
    {"case": "b", "mr": "/b/mr.mha", "mask": "/b/mask.mha"},
]


def test_every_image_of_both_modalities_is_a_record() -> None:
    assert mixed_records(CASES, ["ct", "mr"]) == [
        {"case": "a", "image": "/a/ct.mha", "modality": "ct"},
        {"case": "a", "image": "/a/mr.mha", "modality": "mr"},
        {"case": "b", "image": "/b/mr.mha", "modality": "mr"},
    ]


def test_records_name_their_masks() -> None:
    assert [record["body_image"] for record in mixed_records(CASES, ["ct", "mr"], body_from="mask")] == [
        "/a/mask.mha",
        "/a/mask.mha",
        "/b/mask.mha",
    ]


def test_an_image_without_the_mask_that_is_asked_for_is_refused() -> None:
    with pytest.raises(InputError, match="lacks mask"):
        mixed_records([*CASES, {"case": "c", "ct": "/c/ct.mha"}], ["ct", "mr"], body_from="mask")


def test_a_modality_that_no_case_has_is_refused() -> None:
    with pytest.raises(InputError, match="2 cases: found no case with what is needed"):
        mixed_records(CASES, ["ct", "t1"])


def test_what_is_reconstructed_is_its_own_target() -> None:
    assert reconstruction_records(CASES, "ct") == [
        {"case": "a", "image": "/a/ct.mha", "label": "/a/ct.mha", "mask": "/a/mask.mha", "modality": "ct"}
    ]
    assert reconstruction_records(CASES, "ct", body_from="mask")[0]["body_image"] == "/a/mask.mha"


def test_nothing_to_reconstruct_is_an_error_unless_allowed() -> None:
    with pytest.raises(InputError, match="hold cases out"):
        reconstruction_records(CASES, "t1")
    assert reconstruction_records(CASES, "t1", remedy="") == []
