"""Temporary images: out of sight, and removed no more than they should be."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from monailabel_app.lib import privacy


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    privacy.keep_to_ourselves()
    return Path(tempfile.gettempdir())


def test_temporary_files_are_where_only_their_owner_looks(own: Path, tmp_path: Path) -> None:
    assert own.parent == tmp_path
    assert own.stat().st_mode & 0o077 == 0


def test_an_upload_is_removed(own: Path) -> None:
    upload = own / "upload.nii.gz"
    upload.write_bytes(b"scan")
    privacy.remove_upload(str(upload))
    assert not upload.exists()


@pytest.mark.parametrize("place", [".", "deeper/folder"])
def test_an_image_that_was_not_uploaded_is_left_alone(own: Path, tmp_path: Path, place: str) -> None:
    image = tmp_path / place / "scan.nii.gz"
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(b"scan")
    privacy.remove_upload(str(image))
    privacy.remove_upload(None)
    assert image.exists()


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_has_is_not(own: Path) -> None:
    code = "import os, tempfile; tempfile.mkdtemp(prefix=f'label-{os.getpid()}-')"
    subprocess.run([sys.executable, "-c", code], check=True)
    (own / f"label-{os.getpid()}-running").mkdir()
    assert len(list(own.iterdir())) == 2, "another process has its folder elsewhere"
    privacy.remove_of_the_dead()
    assert [path.name for path in own.iterdir()] == [f"label-{os.getpid()}-running"]


def test_an_end_without_exit_handlers_leaves_nothing(own: Path) -> None:
    privacy.forget()
    assert not own.exists()
