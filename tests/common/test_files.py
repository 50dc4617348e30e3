"""Files are whole or absent."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from transmodal.errors import InputError
from transmodal.files import sha256_of, visible, write_atomically, write_json


def test_writes_into_a_new_folder(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b.txt", lambda path: path.write_text("whole"))
    assert (tmp_path / "a" / "b.txt").read_text() == "whole"


def test_the_neighbour_keeps_the_suffixes(tmp_path: Path) -> None:
    names: list[str] = []
    write_atomically(tmp_path / "x.nii.gz", lambda path: (names.append(path.name), path.write_text("")))
    assert names[0].endswith(".nii.gz")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "b.txt"
    target.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]
    assert target.read_text() == "old"


def test_a_file_is_identified_by_the_sha256_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # the example of FIPS 180-2
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_is_written_whole_in_the_form_of_all_our_files(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "summary.json", {"unit": "cm²", "mean": [1, None]})
    told = '{\n    "unit": "cm²",\n    "mean": [\n        1,\n        null\n    ]\n}\n'
    assert (tmp_path / "deep" / "summary.json").read_text(encoding="utf-8") == told


def test_json_of_a_number_that_is_not_finite_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"mean": math.nan})
    assert [found.read_text() for found in tmp_path.iterdir()] == ["old"]


def test_hidden_entries_are_not_visible(tmp_path: Path) -> None:
    for name in ("b", ".DS_Store", "a"):
        (tmp_path / name).touch()
    assert [entry.name for entry in visible(tmp_path)] == ["a", "b"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: found no folder that can be read"):
        visible(tmp_path / "nowhere")
