"""The set-up of the environments: when one is out of date, and what a wrong Python is told. Nothing is installed."""

from __future__ import annotations

import ast
import re
import threading
from pathlib import Path
from typing import TextIO

import pytest

import environment


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with environments that look finished, apart from their stamps."""
    names = "requirements.txt setup.cfg pyproject.toml app/requirements.txt app/alone.txt"
    for name in [*names.split(), ".venv/bin/python", ".venv-app/bin/python"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "FOLDER", tmp_path / ".venv")
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of each call of pip, which does nothing and succeeds."""
    calls: list[list[str]] = []

    def call(command: list[str]) -> int:
        calls.append(command[command.index("--disable-pip-version-check") + 1 :])
        return 0

    monkeypatch.setattr(environment.subprocess, "call", call)
    return calls


@pytest.mark.parametrize("name", ["requirements.txt", "setup.cfg", "pyproject.toml"])
def test_the_environment_is_made_again_after_a_change_of_a_file_that_says_what_is_installed(
    checkout: Path, calls: list[list[str]], name: str
) -> None:
    environment.install()
    assert calls == [["-r", str(checkout / "requirements.txt")], ["--no-deps", "--editable", str(checkout)]]
    (checkout / name).write_text("other")
    environment.install()
    assert calls[2:] == calls[:2]


def test_a_current_environment_is_left_alone(checkout: Path, calls: list[list[str]]) -> None:
    environment.install()
    calls.clear()
    environment.install()
    assert calls == []


def test_an_environment_of_another_place_is_not_current(
    checkout: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = environment._fingerprint()
    moved = checkout.with_name("moved")
    checkout.rename(moved)
    monkeypatch.setattr(environment, "ROOT", moved)
    assert environment._fingerprint() != before


def test_an_environment_without_python_is_made_from_the_start(
    checkout: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.install()
    environment._python(environment.FOLDER).unlink()
    made: list[Path] = []
    monkeypatch.setattr(environment.venv, "create", lambda folder, with_pip, clear: made.append(folder))
    environment.install()
    assert made == [checkout / ".venv"]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each environment that is made from the start, whether what was there is cleared away."""
    made: list[bool] = []
    monkeypatch.setattr(environment.venv, "create", lambda folder, with_pip, clear: made.append(clear))
    return made


@pytest.mark.parametrize("end", [KeyboardInterrupt, MemoryError])
def test_an_environment_whose_making_was_cut_off_is_made_from_the_start(
    checkout: Path, made: list[bool], calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    """Without a package that was half written, which pip would take for installed, or without pip itself."""
    succeeding = environment.subprocess.call

    def cut_off(command: list[str]) -> int:
        raise end

    monkeypatch.setattr(environment.subprocess, "call", cut_off)
    with pytest.raises(end):
        environment.install()
    monkeypatch.setattr(environment.subprocess, "call", succeeding)
    assert made == []
    environment.install()
    assert made == [True]
    (checkout / "setup.cfg").write_text("other")
    environment.install()
    assert made == [True], "it was finished"


def test_an_environment_whose_pip_was_killed_is_made_from_the_start(
    checkout: Path, made: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.subprocess, "call", lambda command: -9)
    for times in (0, 1):
        with pytest.raises(SystemExit, match=r"exit status -9"):
            environment.install()
        assert len(made) == times


def test_after_a_pip_that_gave_up_it_goes_on_from_there(
    checkout: Path, made: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.subprocess, "call", lambda command: 1)
    for _ in range(2):
        with pytest.raises(SystemExit):
            environment.install()
    assert made == []


def test_a_failed_installation_leaves_no_stamp(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.subprocess, "call", lambda command: 3)
    with pytest.raises(SystemExit, match=r"pip could not install .*requirements.txt \(exit status 3\)"):
        environment.install()
    assert not (checkout / ".venv" / environment.STAMP).exists()


def test_an_extra_environment_has_its_own_requirements_those_without_dependencies_last(
    checkout: Path, calls: list[list[str]]
) -> None:
    requirements, no_deps = checkout / "app/requirements.txt", checkout / "app/alone.txt"
    assert environment.extra(".venv-app", requirements, no_deps) == checkout / ".venv-app/bin/python"
    assert calls == [["-r", str(requirements)], ["--no-deps", "-r", str(no_deps)]]


@pytest.mark.parametrize(("name", "again"), [("app/requirements.txt", 2), ("app/alone.txt", 2), ("setup.cfg", 0)])
def test_an_extra_environment_is_made_again_only_after_a_change_of_its_own_lists(
    checkout: Path, calls: list[list[str]], name: str, again: int
) -> None:
    lists = (checkout / "app/requirements.txt", checkout / "app/alone.txt")
    environment.extra(".venv-app", *lists)
    calls.clear()
    (checkout / name).write_text("other")
    environment.extra(".venv-app", *lists)
    assert len(calls) == again


def test_an_environment_that_several_want_at_once_is_made_once(
    checkout: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, lock = environment.subprocess.call, environment._lock
    at_the_lock, second = threading.Semaphore(0), threading.Event()

    def arrive(file: TextIO) -> None:
        at_the_lock.release()
        lock(file)

    def call(command: list[str]) -> int:
        quick(command)
        if len(calls) > 1:
            second.set()
            return 0
        for _ in range(2):
            assert at_the_lock.acquire(timeout=600), "the other does not want it"
        second.wait(0.2)  # in vain
        return 0

    monkeypatch.setattr(environment, "_lock", arrive)
    monkeypatch.setattr(environment.subprocess, "call", call)

    threads = [
        threading.Thread(target=environment.extra, args=(".venv-app", checkout / "app/requirements.txt"))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert calls == [["-r", str(checkout / "app/requirements.txt")]]


@pytest.mark.parametrize("version", [(3, 10, 9), (3, 14, 0)])
def test_a_wrong_python_is_told_which_ones_serve(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(environment.sys, "version_info", version)
    monkeypatch.setattr(environment, "install", lambda: pytest.fail("it went on with a wrong Python"))
    found = r"\.".join(map(str, version))
    with pytest.raises(SystemExit, match=rf"Python {found} found; wanted 3\.11 to 3\.13"):
        environment.enter()


def test_what_is_told_to_be_run_by_any_python3_enters_an_environment_by_itself(root: Path) -> None:
    files = [
        root / "README.md",
        *(path for part in ("common", "bundles", "tools") for path in (root / part).rglob("*")),
    ]
    texts = [path.read_text(encoding="utf-8") for path in files if path.suffix in (".md", ".py", ".json", ".html")]
    named = {name for text in texts for name in re.findall(r"python3 tools/(\w+)\.py", text)}
    assert {"quickstart", "test", "label"} <= named
    assert [name for name in sorted(named) if not _imports_environment(root / "tools" / f"{name}.py")] == []


def _imports_environment(program: Path) -> bool:
    statements = ast.parse(program.read_text(encoding="utf-8")).body
    return any(isinstance(each, ast.Import) and each.names[0].name == "environment" for each in statements)
