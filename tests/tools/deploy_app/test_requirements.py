"""The pins of the application's own environment."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
APP = ROOT / "tools" / "deploy_app"
READS_OTHER_FILES = {"itk"}
"""What the core asks for and the application does without."""


def pins(*paths: Path) -> dict[str, str]:
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    found = (re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", line) for line in lines if line[:1] not in ("", "#"))
    return {match[1].lower(): match[2] for match in found if match}


def test_every_line_is_an_exact_pin() -> None:
    for path in (APP / "requirements.txt", APP / "sdk.txt"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#")]
        assert len(pins(path)) == len(lines)


def test_versions_are_those_of_the_project() -> None:
    project, app = pins(ROOT / "requirements.txt"), pins(APP / "requirements.txt")
    shared = {*project} & {*app}
    assert {"torch", "monai", "numpy", "pydicom"} <= shared
    assert {name: app[name] for name in shared} == {name: project[name] for name in shared}


def test_all_that_the_core_asks_for_is_there() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    asked = {re.split(r"[<>=]", line)[0].lower() for line in setup["options"]["install_requires"].split()}
    assert asked - {*pins(APP / "requirements.txt")} == READS_OTHER_FILES


def test_the_packager_is_the_last_that_packages() -> None:
    sdk = pins(APP / "sdk.txt")
    assert sdk["holoscan-cli"] == sdk["holoscan-cu13"] == "4.2.0"
