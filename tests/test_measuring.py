"""Coverage is measured by the core's own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = {
    "setup.cfg": "[coverage:run]\nsource = core\n",
    "core.py": "def a():\n    return 1\n\n\ndef b():\n    return 2\n\n\ndef c():\n    return 3\n",
    "tests/common/test_own.py": "import core\n\n\ndef test_a():\n    assert core.a() == 1\n",
    "tests/other/test_other.py": (
        "import core\nimport pytest\n\n\n@pytest.fixture\ndef two():\n    return core.b()\n\n\n"
        "def test_b(two):\n    assert two + core.c() == 5\n"
    ),
}
"""Three functions: one that a test of its own calls, one for a fixture and one for a test elsewhere."""


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Path:
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "measuring.py").write_bytes((root / "tests" / "measuring.py").read_bytes())
    return tmp_path


@pytest.mark.parametrize("order", [("common", "other"), ("other", "common")])
@pytest.mark.parametrize("processes", [[], ["-n", "1"]], ids=["here", "in another process"])
def test_a_function_that_only_other_tests_call_is_not_measured(
    project: Path, order: tuple[str, str], processes: list[str]
) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "measuring", "--import-mode=importlib", *processes]
    folders = [f"tests/{name}" for name in order]
    done = subprocess.run(
        [*command, "--cov", "--cov-report=term-missing", *folders],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert next(line for line in done.stdout.splitlines() if line.startswith("core.py")).split()[-2:] == ["6,", "10"]
