"""Starting MONAI Label: what is run, with which variables, and what is told before anything is installed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import label
from monailabel_app.lib.bundles import CONFIG, METADATA, WEIGHTS


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """A folder with one bundle, as far as is looked at before the server starts."""
    for name in (CONFIG, METADATA, WEIGHTS):
        file = tmp_path / "bundles" / "one" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    return tmp_path / "bundles"


def test_the_command_is_that_of_monai_label_on_this_machine_alone(tmp_path: Path) -> None:
    command = label.server_command(Path("/py"), tmp_path / "bundles", tmp_path / "studies")
    assert command[:4] == ["/py", "-m", "monailabel.main", "start_server"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--app") + 1] == str(label.APP)
    assert command[command.index("--conf") :] == ["--conf", "bundles", str(tmp_path / "bundles")]


def test_the_stand_ins_come_before_what_is_on_the_path() -> None:
    paths = label.server_environment({"PYTHONPATH": "/mine", "HOME": "/home"})
    assert paths["PYTHONPATH"].split(os.pathsep) == [*map(str, label.STAND_INS), "/mine"]
    assert paths["HOME"] == "/home"
    assert label.server_environment({})["PYTHONPATH"].split(os.pathsep) == [*map(str, label.STAND_INS)]


def test_the_stand_ins_are_there() -> None:
    assert (label.STAND_INS[0] / "torchvision" / "utils.py").is_file()
    assert (label.STAND_INS[1] / "pydicom_seg.py").is_file()


def test_studies_may_be_in_the_format_of_synthrad_unless_the_caller_says_which() -> None:
    key = "MONAI_LABEL_DATASTORE_FILE_EXT"
    assert "*.mha" in json.loads(label.server_environment({})[key])
    assert label.server_environment({key: '["*.nii"]'})[key] == '["*.nii"]'


@pytest.mark.parametrize("missing", ["bundles", "studies"])
def test_a_folder_that_is_not_there_is_told_before_anything_is_installed(tmp_path: Path, missing: str) -> None:
    folders = {"bundles": tmp_path, "studies": tmp_path, missing: tmp_path / "absent"}
    arguments = [part for name, folder in folders.items() for part in (f"--{name}", str(folder))]
    with pytest.raises(SystemExit, match=f"--{missing} .*absent: found no such folder"):
        label.main(arguments)


def test_a_folder_without_bundles_is_told_before_anything_is_installed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"found no bundle; wanted folders or zips of bundles"):
        label.main(["--bundles", str(tmp_path), "--studies", str(tmp_path)])


def test_bundles_without_weights_are_told_before_anything_is_installed(bundles: Path) -> None:
    (bundles / "one" / WEIGHTS).unlink()
    with pytest.raises(SystemExit, match=r"found no bundle with models/model\.pt; wanted a bundle with weights"):
        label.main(["--bundles", str(bundles), "--studies", str(bundles)])


def test_a_port_that_somebody_has_is_told_before_anything_is_installed(bundles: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = str(somebody.getsockname()[1])
        with pytest.raises(SystemExit, match=rf"--port {port}: found Address already in use; wanted a free one"):
            label.main(["--bundles", str(bundles), "--studies", str(bundles), "--port", port])


@pytest.mark.parametrize(("option", "value"), [("--port", "65536"), ("--host", "192.0.2.1")])
def test_an_address_that_is_none_of_this_machine_is_told(bundles: Path, option: str, value: str) -> None:
    with pytest.raises(SystemExit, match=rf"{option} {value}.*: found .*; wanted a free one"):
        label.main(["--bundles", str(bundles), "--studies", str(bundles), "--port", "0", option, value])


def test_a_python_without_the_older_numpy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(SystemExit, match=r"Python 3\.13 found; wanted 3\.11 or 3\.12"):
        label.main(["--bundles", str(tmp_path), "--studies", str(tmp_path)])


def test_what_it_does_not_know_is_handed_on(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(label, "python", lambda: Path("/py"))
    monkeypatch.setattr(os, "execve", lambda program, arguments, variables: ran.append(arguments))
    monkeypatch.chdir(bundles)
    known = ["--bundles", ".", "--studies", ".", "--models", "one", "--app", ".", "--port", "0"]
    label.main([*known, "--verbose", "WARNING"])
    assert ran[0][-5:] == ["--conf", "models", "one", "--verbose", "WARNING"]


def test_the_first_start_says_how_long_and_how_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(label.environment, "ROOT", tmp_path)
    monkeypatch.setattr(label.environment, "extra", lambda *arguments: tmp_path)
    label.python()
    assert "about 3 GB, takes minutes" in capsys.readouterr().out
    (tmp_path / label.FOLDER).mkdir()
    label.python()
    assert capsys.readouterr().out == ""


def test_help_needs_no_environment(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(root / "tools" / "label.py"), "--help"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0
    assert "not for diagnosis" in done.stdout
