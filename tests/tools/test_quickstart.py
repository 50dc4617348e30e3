"""The quickstart: its options, and the three commands it prints and runs, with none of them really run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import quickstart

Commands = list[list[str]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the command line."""
    return lambda *arguments: monkeypatch.setattr(sys, "argv", ["quickstart.py", *arguments])


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Arguments of the commands, which are not run; the last of them would leave the table of results."""
    ran: Commands = []

    def call(command: list[str], cwd: Path, **options: Any) -> int:
        assert cwd == quickstart.BUNDLE
        ran.append(command[1:])
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out/metrics.csv").write_text("case,method,mae\np1,CycleGAN,12.34567\np1,identity,\n")
        return 0

    monkeypatch.setattr(quickstart, "subprocess", SimpleNamespace(call=call))
    monkeypatch.setattr(quickstart.environment, "enter", lambda: None)
    return ran


def value(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_without_options_phantoms_are_translated_from_mr(given: Callable[..., None]) -> None:
    given()
    options, more = quickstart._options()
    assert vars(options) == {"data": None, "output": "quickstart", "source": "mr", "epochs": 10, "phantoms": 10}
    assert more == []


def test_unknown_options_are_kept_for_the_commands(given: Callable[..., None]) -> None:
    given("--epochs", "2", "--pixdim", "[1,1,-1]")
    options, more = quickstart._options()
    assert options.epochs == 2
    assert more == ["--pixdim", "[1,1,-1]"]


def test_a_source_that_cannot_be_translated_is_refused(
    given: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    given("--source", "pet")
    with pytest.raises(SystemExit):
        quickstart._options()
    assert "invalid choice: 'pet'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "typed"),
    [
        ("--source", "--source"),
        ("/data/a-b_1.json", "/data/a-b_1.json"),
        ("[1,1,-1]", '"[1,1,-1]"'),
        ("my scans", '"my scans"'),
        ("", '""'),
        (quickstart.TRAIN, f'"{quickstart.TRAIN}"'),
    ],
)
def test_arguments_are_printed_as_they_are_typed(argument: str, typed: str) -> None:
    assert quickstart._quoted(argument) == typed


def test_it_trains_translates_and_evaluates_in_this_order(
    given: Callable[..., None], commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given("--data", str(tmp_path), "--output", str(tmp_path / "out"), "--epochs", "5", "--amp", "False")
    assert quickstart.main() == 0
    files = [value(command, "--config_file") for command in commands]
    assert files == [quickstart.TRAIN, quickstart.INFER, quickstart.EVALUATE]
    for command in commands:
        assert command[:3] == ["-m", "monai.bundle", "run"]
        assert value(command, "--dataset_dir") == str(tmp_path)
        assert value(command, "--ckpt_path") == str(tmp_path / "out/model.pt")
        assert value(command, "--amp") == "False"
    train, *others = commands
    assert (value(train, "--constant_epochs"), value(train, "--decay_epochs")) == ("3", "2")
    assert "--section" not in train
    assert [value(command, "--datalist") for command in others] == [str(tmp_path / "out/split.json")] * 2
    assert [value(command, "--section") for command in others] == ["test"] * 2
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("$ ")]
    quoted = [" ".join(map(quickstart._quoted, command)) for command in commands]
    assert printed == [f"$ cd bundles/{quickstart.BUNDLE.name} && python {line}" for line in quoted]


def test_the_configs_it_names_are_there() -> None:
    for files in (quickstart.TRAIN, quickstart.INFER, quickstart.EVALUATE):
        assert [name for name in ast.literal_eval(files) if not (quickstart.BUNDLE / name).is_file()] == []


def test_without_data_phantoms_are_made_and_said_to_be_none_of_patients(
    given: Callable[..., None],
    commands: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made: list[tuple[Path, int]] = []
    monkeypatch.setattr(quickstart, "_make_phantoms", lambda data, size: made.append((data, size)))
    given("--output", str(tmp_path / "out"), "--phantoms", "3")
    quickstart.main()
    assert made == [(tmp_path / "out/phantoms", 3)]
    assert {value(command, "--dataset_dir") for command in commands} == {str(tmp_path / "out/phantoms")}
    assert "Results on phantoms: they prove that everything works" in capsys.readouterr().out


def test_the_table_is_aligned_and_an_absent_number_stays_absent(
    given: Callable[..., None], commands: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given("--data", str(tmp_path), "--output", str(tmp_path / "out"))
    quickstart.main()
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    start = lines.index("case  method    mae")
    assert lines[start + 1 : start + 3] == ["p1    CycleGAN  12.35", "p1    identity"]


def test_a_failed_command_ends_it(
    given: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: Commands
) -> None:
    monkeypatch.setattr(quickstart.subprocess, "call", lambda command, **options: 7)
    given("--data", str(tmp_path), "--output", str(tmp_path / "out"))
    with pytest.raises(SystemExit, match="ended with exit status 7"):
        quickstart.main()
    assert commands == []
