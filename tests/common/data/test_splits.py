"""Patient-level splits: deterministic, leak-free, and never without training cases."""

from __future__ import annotations

import random

import pytest

from transmodal.data import split_cases
from transmodal.errors import InputError

Case = dict[str, str]


def cases(*names: str, modalities: tuple[str, ...] = ("ct", "mr"), **more: str) -> list[Case]:
    return [{"case": name, **{key: f"/{name}/{key}.mha" for key in modalities}, **more} for name in names]


def names(sections: dict[str, list[Case]]) -> dict[str, list[str]]:
    return {section: [case["case"] for case in records] for section, records in sections.items()}


TWENTY = cases(*(f"p{number:02d}" for number in range(20)))


def test_fractions_are_of_the_patients() -> None:
    assert [len(records) for records in split_cases(TWENTY).values()] == [14, 3, 3]


def test_every_case_is_in_one_section() -> None:
    split = names(split_cases(TWENTY))
    assert sorted(name for section in split.values() for name in section) == [case["case"] for case in TWENTY]


def test_the_order_of_the_file_system_does_not_matter() -> None:
    shuffled = random.Random(1).sample(TWENTY, len(TWENTY))
    assert split_cases(shuffled) == split_cases(TWENTY)


def test_the_seed_makes_another_split() -> None:
    assert split_cases(TWENTY, seed=1) != split_cases(TWENTY, seed=0)


def test_the_split_of_a_seed_never_changes() -> None:
    """Frozen on purpose: another result would put the test patients of earlier runs into training.

    Expected: the first three and the next three of ``for i in {00..19}; do printf "0 p$i" | sha256sum; done | sort``.
    """
    split = names(split_cases(TWENTY))
    assert (split["validation"], split["test"]) == (["p04", "p18", "p19"], ["p03", "p09", "p14"])


def test_all_cases_of_a_patient_stay_together() -> None:
    visits = [case for number in range(6) for case in cases(f"{number}a", f"{number}b", patient=str(number))]
    for records in split_cases(visits, validation=0.3, test=0.3).values():
        assert {case["case"] for case in records} == {f"{case['patient']}{visit}" for case in records for visit in "ab"}


@pytest.mark.parametrize(("count", "sizes"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (4, [2, 1, 1])])
def test_few_patients_leave_one_for_each_section(count: int, sizes: list[int]) -> None:
    assert [len(records) for records in split_cases(TWENTY[:count]).values()] == sizes


def test_a_fraction_of_zero_holds_nobody_out() -> None:
    assert [len(records) for records in split_cases(TWENTY, test=0).values()] == [17, 3, 0]


def test_cases_can_be_named() -> None:
    split = names(split_cases(TWENTY, validation=["p07", "p05"], test=0.1))
    assert split["validation"] == ["p05", "p07"]
    assert len(split["test"]) == 2


def test_naming_one_case_holds_out_its_patient() -> None:
    visits = cases("1a", "1b", patient="1") + cases("2a", patient="2")
    assert names(split_cases(visits, validation=["1b"], test=[]))["validation"] == ["1a", "1b"]


def test_unpaired_modalities_are_spread_over_the_sections() -> None:
    unpaired = cases(*(f"a{n}" for n in range(10)), modalities=("ct",))
    unpaired += cases(*(f"b{n}" for n in range(10)), modalities=("mr",))
    for seed in range(5):
        for records in split_cases(unpaired, validation=0.2, test=0.2, seed=seed).values():
            assert {"ct", "mr"} <= {key for case in records for key in case}


def test_complete_pairs_are_held_out_before_single_modalities() -> None:
    mixed = cases("pair1", "pair2", "pair3") + cases(*(f"x{n}" for n in range(17)), modalities=("mr",))
    split = names(split_cases(mixed, pairs=("ct", "mr")))
    assert all(name.startswith("pair") for name in split["validation"] + split["test"])
    assert split["test"]


@pytest.mark.parametrize("share", ["0.2", True, 1.0, -0.1])
def test_a_share_that_is_no_fraction_is_refused(share: object) -> None:
    with pytest.raises(InputError, match=r"the split's test: found .* wanted a fraction of the patients in \[0, 1\)"):
        split_cases(TWENTY, validation=0.1, test=share)  # type: ignore[arg-type]


def test_fractions_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"the fractions 0\.5 and 0\.5; wanted a sum below 1"):
        split_cases(TWENTY, validation=0.5, test=0.5)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="the unknown cases p99; wanted some of p00, p01"):
        split_cases(TWENTY, validation=["p99", "p01"])


def test_a_patient_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="p01 named for validation and for test"):
        split_cases(TWENTY, validation=["p01"], test=["p01"])


def test_naming_everybody_is_refused() -> None:
    with pytest.raises(InputError, match="all patients named for validation or test"):
        split_cases(TWENTY[:2], validation=["p00"], test=["p01"])
