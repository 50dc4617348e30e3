"""Command-line values as fire hands them over."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.options import count, counts, device, file, flag, ids, listed
from transmodal.errors import InputError


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, (3,)), ((1, 8), (1, 8)), ([1, 8], (1, 8)), ("a.json, b.json", ("a.json", "b.json")), ((), ()), ("", ())],
)
def test_one_value_or_several(value: object, expected: tuple[object, ...]) -> None:
    assert listed(value) == expected


def test_counts_are_whole_numbers_from_one_on() -> None:
    assert counts("batch", (1, 8)) == (1, 8)
    assert count("repeats", 5) == 5


@pytest.mark.parametrize("value", [0, -1, (1, 0), 1.5, "many", True, ()])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"--batch: found .*; wanted whole numbers from 1 on(.|\n)*--batch 4,8"):
        counts("batch", value)  # type: ignore[arg-type]


def test_one_number_is_not_two() -> None:
    with pytest.raises(InputError, match=r"--repeats: found \(5, 6\); wanted one number(.|\n)*--repeats 5"):
        count("repeats", (5, 6))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["true", "False", 1, None])
def test_a_word_is_no_flag(value: object) -> None:
    with pytest.raises(InputError, match=r"--quality: found .*; wanted True or False"):
        flag("quality", value)  # type: ignore[arg-type]


def test_ids_are_a_mapping() -> None:
    assert ids("override", {"slab": None, "seed": 1}) == (("slab", None), ("seed", 1))
    assert ids("override", None) == ()
    with pytest.raises(InputError, match=r"--override: found 'slab'; wanted ids of the config and their values"):
        ids("override", "slab")  # type: ignore[arg-type]


def test_the_device_is_one_that_is_there() -> None:
    assert device("cpu") == "cpu"
    assert device(None) == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="--device: found 'tpu'; wanted cpu"):
        device("tpu")


def test_a_file_is_found_here_or_in_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "small.json").write_text("{}")
    assert file("overlay", "small.json", tmp_path) == str((tmp_path / "small.json").resolve())
    (tmp_path / "here/small.json").write_text("{}")
    assert file("overlay", "small.json", tmp_path) == str((tmp_path / "here/small.json").resolve())


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: found no such file; wanted the file of --overlay"):
        file("overlay", "none.json", tmp_path)
