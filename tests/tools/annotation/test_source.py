"""A folder of labelme files: all are checked at once, and each picture has its own name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotation.labels import labels_of
from annotation.source import LabelmeFiles, named_files
from transmodal.errors import InputError

Annotate = Callable[..., Path]


def square(label: str = "body", left: int = 2) -> dict[str, Any]:
    return {"label": label, "points": [[left, 2], [left + 4, 8]], "shape_type": "rectangle"}


def test_files_in_folders_are_named_after_these(annotate: Annotate, tmp_path: Path) -> None:
    for name in ("b.json", "p1/01.json", "p2/01.JSON", ".hidden/c.json"):
        annotate(tmp_path / name)
    (tmp_path / "p1/01.png").write_bytes(b"")
    assert list(named_files(tmp_path)) == ["b", "p1_01", "p2_01"]
    assert list(named_files(tmp_path / "b.json")) == ["b"]


@pytest.mark.parametrize("names", [("a.json", "a.JSON"), ("a.json", "A.json"), ("p/1.json", "p_1.json")])
def test_files_of_one_name_are_refused(names: tuple[str, str], annotate: Annotate, tmp_path: Path) -> None:
    for name in names:
        annotate(tmp_path / name)
    with pytest.raises(InputError, match=r"files that would get one name: .* and ") as caught:
        named_files(tmp_path)
    assert all(name in str(caught.value) for name in names)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no file that ends in .json"):
        named_files(tmp_path)


def test_labels_are_those_of_the_files(annotate: Annotate, tmp_path: Path) -> None:
    annotate(tmp_path / "a.json", [square("leg"), square("__ignore__")])
    annotate(tmp_path / "b.json", [square("arm")])
    assert LabelmeFiles(tmp_path).labels.names == ("_background_", "arm", "leg")


def test_unknown_labels_are_named_with_all_their_shapes(annotate: Annotate, tmp_path: Path) -> None:
    annotate(tmp_path / "a.json", [square("leg"), square(), square("leg"), square("arm")])
    annotate(tmp_path / "b.json", [square(), square("arm")])
    found = [str(error).splitlines()[0] for error in LabelmeFiles(tmp_path, labels_of(["body"], "x")).errors]
    assert found == [
        f"{tmp_path}/a.json: shapes[0], shapes[2]: found the unknown label 'leg'; wanted one of _background_, body.",
        f"{tmp_path}/a.json: shapes[3]: found the unknown label 'arm'; wanted one of _background_, body.",
        f"{tmp_path}/b.json: shapes[1]: found the unknown label 'arm'; wanted one of _background_, body.",
    ]


def test_errors_of_all_files_are_kept_and_the_others_can_be_read(annotate: Annotate, tmp_path: Path) -> None:
    annotate(tmp_path / "a.json", [square("")])
    annotate(tmp_path / "b.json", [square()])
    (tmp_path / "c.json").write_text("{", encoding="utf-8")
    source = LabelmeFiles(tmp_path)
    assert [str(error).split(": found")[0] for error in source.errors] == [
        f"{tmp_path}/a.json: shapes[0]",
        f"{tmp_path}/c.json",
    ]
    assert source.names == ["b"]
    assert source.read("b").classes.sum() == 5 * 7


def test_shapes_outside_the_picture_are_a_warning(annotate: Annotate, tmp_path: Path) -> None:
    annotate(tmp_path / "a.json", [square(), square(left=90)])
    source = LabelmeFiles(tmp_path)
    source.read("a")
    assert source.warnings == [f"{tmp_path}/a.json: shapes[1] marks no pixel of the picture"]


def test_labels_that_differ_by_capital_letters_are_a_warning(annotate: Annotate, tmp_path: Path) -> None:
    annotate(tmp_path / "a.json", [square("body"), square("Body"), square("arm")])
    assert LabelmeFiles(tmp_path).warnings[0].startswith("'Body' and 'body' are classes of their own")
