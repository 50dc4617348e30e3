"""Every file of an input once, through links too, and no results of this program."""

from __future__ import annotations

import json
from pathlib import Path

from translating import provenance
from translating.tree import OURS, RECORD, files_of, is_result


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def result(folder: Path) -> Path:
    folder.mkdir(parents=True)
    provenance.write(folder, {"mark": provenance.MARK, "request": {}})
    return folder


def test_files_are_found_at_any_depth_in_the_order_of_their_paths(tmp_path: Path) -> None:
    paths = [touch(tmp_path / name) for name in ("b", "a/z", "a/b/c", ".hidden", ".git/x")]
    assert files_of(tmp_path) == (sorted(paths[:3]), [])


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    touch(tmp_path / "store" / "a")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "store")
    assert files_of(tmp_path / "in") == ([tmp_path / "in" / "link" / "a"], [])


def test_a_link_back_is_not_followed_again(tmp_path: Path) -> None:
    path = touch(tmp_path / "b" / "x")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    files, left_out = files_of(tmp_path)
    assert files == [path]
    assert left_out == [(tmp_path / n, "a link to a folder that is read anyway") for n in ("a", "b/loop")]


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.nii").symlink_to(tmp_path / "gone")
    assert files_of(tmp_path) == ([], [(tmp_path / "x.nii", "a link that leads nowhere")])


def test_the_results_are_passed_over_where_they_lie_in_the_input(tmp_path: Path) -> None:
    kept = touch(tmp_path / "a")
    touch(tmp_path / "results" / "b")
    (tmp_path / "link").symlink_to(tmp_path / "results")
    assert files_of(tmp_path, apart=tmp_path / "link")[0] == [kept]


def test_an_input_that_lies_in_the_results_is_read(tmp_path: Path) -> None:
    path = touch(tmp_path / "results" / "dicom" / "a")
    assert files_of(tmp_path / "results" / "dicom", apart=tmp_path / "results") == ([path], [])


def test_a_result_is_left_out_whole_with_the_reason(tmp_path: Path) -> None:
    touch(result(tmp_path / "old" / "knee") / "mr.nii.gz")
    assert files_of(tmp_path) == ([], [(tmp_path / "old" / "knee", OURS)])


def test_a_file_of_a_result_is_left_out_too(tmp_path: Path) -> None:
    path = touch(result(tmp_path / "knee") / "mr.nii.gz")
    assert files_of(path) == ([], [(path, OURS)])


def test_the_record_of_another_program_makes_no_result(tmp_path: Path) -> None:
    assert RECORD == provenance.FILE
    for content in ("no json", "[]", json.dumps({"request": 1, "outputs": 2}), json.dumps({"mark": "synthetic"})):
        (tmp_path / RECORD).write_text(content)
        assert not is_result(tmp_path)
