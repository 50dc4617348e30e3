"""Private folders, times and names."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from webpage.storage import LOCK, LONGEST_NAME, Held, private_folder, safe_name, told_without


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("scan.nii.gz", "scan.nii.gz"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/absolute/path.mha", "path.mha"),
        (".hidden.png", "hidden.png"),
        ("with space & umlaut ä.dcm", "with_space_umlaut_.dcm"),
        ("a\x00b\nc.nii", "a_b_c.nii"),
        ("..", "image"),
        ("", "image"),
        ("-rf.nii", "rf.nii"),
    ],
)
def test_a_name_from_a_stranger_names_no_place(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_long_name_keeps_its_end_where_the_format_is() -> None:
    name = safe_name("x" * 500 + ".nii.gz")
    assert len(name) <= LONGEST_NAME
    assert name.endswith(".nii.gz")


def test_the_private_folder_is_its_owners_alone_and_goes_with_all_in_it() -> None:
    with private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "a").mkdir()
        (folder / "a" / "file").write_text("x", encoding="utf-8")
    assert not folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody knows whose folder it is")
def test_what_a_killed_server_left_goes_when_the_next_one_starts_whatever_its_number_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, other = tmp_path / f"transmodal-web-{os.getpid()}-abc", tmp_path / "transmodal-web-notes"
    for folder in (left, other):
        folder.mkdir()
    (left / LOCK).touch()
    with private_folder() as running:
        assert not left.exists()
        assert other.exists()
        with private_folder() as second:
            assert running.exists()
        assert not second.exists()
        assert running.exists()


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody knows whose folder it is")
def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (elsewhere := tmp_path / "elsewhere").touch()
    (left := tmp_path / "transmodal-web-abc").mkdir()
    (left / LOCK).symlink_to(elsewhere)
    with private_folder():
        assert left.exists()


def test_what_is_held_expires_after_its_last_use(tmp_path: Path) -> None:
    now = [1000.0]
    held = Held(tmp_path, retention=60, clock=lambda: now[0])
    now[0] += 59
    assert not held.expired
    held.touch()
    now[0] += 59
    assert not held.expired
    now[0] += 2
    assert held.expired


def test_the_time_of_expiry_is_told_in_utc(tmp_path: Path) -> None:
    assert Held(tmp_path, retention=60, clock=lambda: 0.0).expires == "1970-01-01T00:01:00+00:00"


def test_what_is_held_has_a_name_that_nobody_guesses(tmp_path: Path) -> None:
    first, second = Held(tmp_path, 60), Held(tmp_path, 60)
    assert first.id != second.id
    assert len(first.id) == 22
    first.remove()
    assert not first.folder.exists()
    assert second.folder.exists()


def test_places_are_taken_out_of_what_is_told(tmp_path: Path) -> None:
    text = f"{tmp_path}/scan.mha: found nothing\n  What to do: look into {tmp_path}"
    assert told_without(text, tmp_path) == "scan.mha: found nothing What to do: look into the upload"
