"""What keeps the server from starting, each told by the real program in words of its own at the end of all it says."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.integration.monailabel.conftest import CYCLEGAN, ROOT
from tests.integration.monailabel.serving import PATIENCE, start
from transmodal.checkpoints import read_checkpoint, save_weights


@pytest.fixture(scope="module")
def names() -> list[str]:
    return [CYCLEGAN]


def last_words(folder: Path, bundles: Path, *options: str) -> list[str]:
    """Start a server that cannot be; what it said, by lines."""
    studies = folder / "studies"
    studies.mkdir()
    server = start(folder, bundles, studies, *options, wait=False)
    try:
        assert server.process.wait(timeout=PATIENCE) == 1, server.said()
    finally:
        server.kill()
    assert "Traceback" not in server.said()
    assert list(server.temporary.glob("label-*")) == []
    return server.said().splitlines()


def test_a_folder_without_bundles(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = last_words(tmp_path, tmp_path / "empty")
    assert said[0] == f"{tmp_path / 'empty'}: found no bundle; wanted folders or zips of bundles."
    assert len(said) == 2, "and what to do"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    said = last_words(tmp_path, tmp_path / "absent")
    assert said == [f"--bundles {tmp_path / 'absent'}: found no such folder; wanted an existing one."]


def test_studies_that_are_not_there(tmp_path: Path, packed: Path) -> None:
    said = last_words(tmp_path, packed, "--studies", str(tmp_path / "absent"))
    assert said == [f"--studies {tmp_path / 'absent'}: found no such folder; wanted an existing one."]


def test_a_port_that_somebody_has(tmp_path: Path, packed: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = str(somebody.getsockname()[1])
        said = last_words(tmp_path, packed, "--port", port)
    found = "found Address already in use; wanted a free one, such as --port 0 takes."
    assert said == [f"--host 127.0.0.1 --port {port}: {found}"]


def test_missing_weights(tmp_path: Path, shrunk: dict[str, Path]) -> None:
    weightless = tmp_path / "bundles" / CYCLEGAN
    shutil.copytree(shrunk[CYCLEGAN], weightless, ignore=shutil.ignore_patterns("*.pt"))
    said = last_words(tmp_path, tmp_path / "bundles")
    assert said[-2].endswith("found no bundle with models/model.pt; wanted a bundle with weights.")
    assert len(said) == 3, "which bundle, and what to do"


def test_weights_that_do_not_fit(tmp_path: Path, shrunk: dict[str, Path]) -> None:
    damaged = tmp_path / "bundles" / CYCLEGAN
    shutil.copytree(shrunk[CYCLEGAN], damaged)
    shutil.copytree(ROOT / "common" / "transmodal", damaged / "transmodal")
    weights = damaged / "models" / "model.pt"
    state = read_checkpoint(weights)
    missing = next(iter(state))
    save_weights({key: value for key, value in state.items() if key != missing}, weights)
    said = last_words(tmp_path, tmp_path / "bundles")
    assert said[-2].startswith("Not served: ")
    assert f"1 missing ({missing})" in said[-2]
    assert said[-1].startswith("  What to do: ")
