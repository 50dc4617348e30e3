"""Formatting of bundle JSON: readable, stable, and never a change of meaning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from format_json import COLUMNS, format_text, load, main
from transmodal.errors import InputError


def formatted(folder: Path, text: str) -> str:
    path = folder / "config.json"
    path.write_text(text, encoding="utf-8")
    return format_text(path)


def test_an_object_that_fits_stays_on_one_line(tmp_path: Path) -> None:
    assert formatted(tmp_path, '{"a": {\n"b": [1,\n2]}}') == '{\n  "a": {"b": [1, 2]}\n}\n'


def test_an_object_that_does_not_fit_has_one_item_per_line(tmp_path: Path) -> None:
    long = "x" * 60
    expected = f'{{\n  "a": [\n    "{long}",\n    "{long}"\n  ]\n}}\n'
    assert formatted(tmp_path, json.dumps({"a": [long, long]})) == expected


@pytest.mark.parametrize(("length", "lines"), [(COLUMNS, 3), (COLUMNS + 1, 5)])
def test_a_line_may_be_as_long_as_the_columns_with_its_comma(tmp_path: Path, length: int, lines: int) -> None:
    filler = length - len('  "a": [""],')
    assert formatted(tmp_path, json.dumps({"a": ["x" * filler]})).count("\n") == lines


def test_keys_keep_their_order(tmp_path: Path) -> None:
    assert list(json.loads(formatted(tmp_path, '{"z": 1, "a": 2, "m": 3}'))) == ["z", "a", "m"]


def test_letters_beyond_ascii_stay_readable(tmp_path: Path) -> None:
    assert '"λ → μ"' in formatted(tmp_path, '{"a": "λ → \\u03bc"}')


def test_numbers_keep_their_spelling(tmp_path: Path) -> None:
    assert formatted(tmp_path, '{"a": [1e-4, 1.0, 2E5, -0]}') == '{\n  "a": [1e-4, 1.0, 2E5, -0]\n}\n'


def test_formatting_twice_changes_nothing(tmp_path: Path) -> None:
    content = {"a": {"b": ["x" * 50] * 4, "c": {}}, "d": [], "e": [[1, {"f": "y" * 115}]], "g": None}
    once = formatted(tmp_path, json.dumps(content))
    assert formatted(tmp_path, once) == once


def test_meaning_is_kept(tmp_path: Path) -> None:
    content = {"a": [{"b": "x" * 119, "c": [True, None, 1.5, '\n"\\']}], "": {"d": {}}, "e": "@f#g"}
    assert json.loads(formatted(tmp_path, json.dumps(content))) == content


def test_a_repeated_key_is_refused_with_its_name_and_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config.json: found the key 'lr' 2 times in one object; wanted"):
        formatted(tmp_path, '{"a": {"lr": 1, "b": 2, "lr": 3}}')


@pytest.mark.parametrize("text", ['{"a": 1,}', '{"a": NaN}', ""])
def test_what_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"config.json: found .*; wanted JSON"):
        formatted(tmp_path, text)


def test_load_gives_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1e-4, "b": 2}')
    assert load(tmp_path / "a.json") == {"a": 1e-4, "b": 2}


def test_check_names_the_files_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{\n  "a": 1\n}\n')
    bad.write_text('{"a": 1}')
    with pytest.raises(SystemExit) as status:
        main(str(good), str(bad), check=True)
    assert status.value.code == 1
    assert capsys.readouterr().out == f"would format {bad}\n"
    assert bad.read_text() == '{"a": 1}'


def test_without_check_the_file_is_formatted_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text('{"a": 1}')
    main(str(tmp_path / "bad.json"))
    assert (tmp_path / "bad.json").read_text() == '{\n  "a": 1\n}\n'
    assert capsys.readouterr().out == f"formatted {tmp_path / 'bad.json'}\n"


def test_a_path_taken_as_the_value_of_check_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"--check: found 'a\.json'; wanted the flag alone"):
        main(check="a.json")  # type: ignore[arg-type]


def test_the_configs_of_this_checkout_are_formatted(root: Path) -> None:
    unformatted = [
        p.name for p in root.glob("bundles/*/configs/*.json") if format_text(p) != p.read_text(encoding="utf-8")
    ]
    assert unformatted == []
