"""Names and numbers of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from annotation.labels import IGNORED, body_labels, found_labels, labels_of, numbered_labels, read_labels
from transmodal.errors import InputError


@pytest.mark.parametrize(
    "names",
    [
        ["__ignore__", "_background_", "body", "arm"],
        ["_background_", "body", "arm"],
        ["__ignore__", "body", "arm"],
        ["body", "arm"],
    ],
)
def test_special_names_may_be_left_out(names: list[str]) -> None:
    labels = labels_of(names, "labels.txt")
    assert labels.names == ("_background_", "body", "arm")
    assert [labels.number(name) for name in ("__ignore__", "_background_", "body", "arm")] == [IGNORED, 0, 1, 2]
    assert "__ignore__" in labels
    assert "leg" not in labels


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("__ignore__\n_background_\n\nbody\n", 3, "a blank line"),
        ("body\narm\n\n", 3, "a blank line"),
        ("\nbody\n", 1, "a blank line"),
        ("body\narm\nbody\n", 3, "'body' a second time"),
        ("_background_\n__ignore__\nbody\n", 2, "__ignore__ after other names"),
        ("__ignore__\nbody\n__ignore__\n", 3, "__ignore__ after other names"),
        ("body\n_background_\n", 2, "'_background_' a second time"),
    ],
)
def test_a_faulty_list_is_refused_with_its_line(text: str, line: int, told: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_labels(str(path))
    assert str(caught.value).startswith(f"{path}: line {line}: found {told}")


def test_a_missing_file_of_labels_is_told() -> None:
    with pytest.raises(InputError, match=r"nowhere/labels.txt: found a file that cannot be read \(No such file"):
        read_labels("nowhere/labels.txt")


@pytest.mark.parametrize("given", ["body, arm", ("body", "arm"), ["body", "arm"]])
def test_labels_come_as_a_list_too(given: Any) -> None:
    assert read_labels(given).classes == ("body", "arm")


def test_a_lone_number_is_a_name() -> None:
    assert read_labels(7).classes == ("7",)


def test_labels_of_the_files_come_in_the_order_of_the_alphabet() -> None:
    assert found_labels(["leg", "__ignore__", "arm", "_background_", "leg"]).names == ("_background_", "arm", "leg")


def test_255_means_ignored_unless_it_is_a_class() -> None:
    assert numbered_labels().void == 255
    assert labels_of([f"c{number}" for number in range(1, 256)], "x").void is None


def test_the_body_is_all_classes_or_those_named() -> None:
    labels = labels_of(["body", "arm"], "x")
    assert body_labels(None, labels) == ("body", "arm")
    assert body_labels("arm", labels) == ("arm",)
    with pytest.raises(InputError, match="--body: found 'leg', '_background_'; wanted some of body, arm"):
        body_labels("arm,leg,_background_", labels)
