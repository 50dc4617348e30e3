"""Batch records: modalities under MONAI's keys."""

from __future__ import annotations

import pytest

from transmodal.data import as_records
from transmodal.errors import InputError


def case(name: str, *modalities: str) -> dict[str, str]:
    return {"case": name} | {modality: f"/data/{name}/{modality}.mha" for modality in modalities}


def test_modalities_get_the_keys_of_batches() -> None:
    assert as_records([case("a", "ct", "mr", "mask", "lesion")]) == [
        {"case": "a", "image": "/data/a/mr.mha", "label": "/data/a/ct.mha", "mask": "/data/a/mask.mha"}
    ]


def test_an_optional_mask_may_be_absent() -> None:
    assert "mask" not in as_records([case("a", "ct", "mr")])[0]


def test_the_direction_is_a_matter_of_keys() -> None:
    assert as_records([case("a", "ct", "mr")], keys={"image": "ct"}) == [{"case": "a", "image": "/data/a/ct.mha"}]


def test_all_cases_that_lack_a_modality_are_named_in_one_error() -> None:
    with pytest.raises(InputError) as error:
        as_records([case("a", "mr"), case("b", "ct", "mr"), case("c", "ct", "mask")])
    assert "2 cases: found /data/a (has mr; lacks ct); /data/c (has ct mask; lacks mr)" in str(error.value)
    assert "wanted in each case mr and ct" in str(error.value)


def test_a_single_incomplete_case_is_named_first() -> None:
    with pytest.raises(InputError, match=r"^/data/a: found /data/a \(has mr; lacks ct\)"):
        as_records([case("a", "mr")])


def test_incomplete_cases_can_be_left_out() -> None:
    records = as_records([case("a", "mr"), case("b", "ct", "mr")], skip_incomplete=True)
    assert [record["case"] for record in records] == ["b"]


def test_unpaired_cases_keep_what_they_have_and_empty_ones_are_dropped() -> None:
    cases = [case("a", "mr"), case("b", "ct", "mask"), case("c", "mask"), case("d", "t1")]
    assert as_records(cases, optional=("image", "label", "mask")) == [
        {"case": "a", "image": "/data/a/mr.mha"},
        {"case": "b", "label": "/data/b/ct.mha", "mask": "/data/b/mask.mha"},
    ]


@pytest.mark.parametrize("options", [{"skip_incomplete": True}, {"optional": ("image", "label", "mask")}])
def test_no_usable_case_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"no case with what is needed; the first has t1 \(/data/a\)"):
        as_records([case("a", "t1")], **options)


def test_an_empty_section_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError) as error:
        as_records([], skip_incomplete=True, remedy="hold pairs out for validation")
    assert "0 cases: found no case with what is needed; wanted in each case mr and ct" in str(error.value)
    assert error.value.remedy == "hold pairs out for validation"


def test_an_empty_section_gives_no_records_where_there_is_no_remedy() -> None:
    assert as_records([], remedy="") == []


def test_several_modalities_become_channels_in_the_given_order() -> None:
    keys = {"image": ["t2", "t1"], "label": "flair"}
    assert as_records([case("a", "t1", "t2", "flair")], keys)[0]["image"] == ["/data/a/t2.mha", "/data/a/t1.mha"]


def test_each_missing_channel_is_named() -> None:
    with pytest.raises(InputError, match="has t1; lacks flair t2"):
        as_records([case("a", "t1")], keys={"image": ["t1", "t2"], "label": "flair"})


def test_of_several_contrasts_the_missing_one_is_named_in_each_case() -> None:
    cases = [
        case("p1", "t1", "t2", "flair", "t1ce"),
        case("p2", "t1", "flair", "t1ce"),
        case("p3", "t1", "t2", "flair"),
    ]
    keys = {"image": ["flair", "t2", "t1"], "label": "t1ce"}
    with pytest.raises(InputError) as error:
        as_records(cases, keys)
    told = str(error.value)
    assert "2 cases: found /data/p2 (has t1 flair t1ce; lacks t2); /data/p3 (has t1 t2 flair; lacks t1ce)" in told
    assert "wanted in each case flair and t2 and t1 and t1ce" in told
    assert as_records(cases, keys, skip_incomplete=True)[0]["image"] == [
        "/data/p1/flair.mha",
        "/data/p1/t2.mha",
        "/data/p1/t1.mha",
    ]


def test_a_key_without_a_modality_is_ignored() -> None:
    keys = {"image": "mr", "label": "ct", "body_image": None}
    assert as_records([case("a", "ct", "mr", "mask")], keys) == as_records([case("a", "ct", "mr")], keys)


def test_masks_from_files_are_wanted_in_every_case_of_an_unpaired_training() -> None:
    keys = {"image": "mr", "label": "ct", "body_image": "mask", "body_label": "mask"}
    cases = [case("a", "mr", "mask"), case("b", "ct")]
    with pytest.raises(InputError, match=r"/data/b \(has ct; lacks mask\); wanted in each case mr or ct, and mask"):
        as_records(cases, keys, optional=("image", "label"))
    assert as_records(cases[:1], keys, optional=("image", "label")) == [
        {"case": "a", "image": "/data/a/mr.mha", "body_image": "/data/a/mask.mha", "body_label": "/data/a/mask.mha"}
    ]
