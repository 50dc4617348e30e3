"""Moving previews: what they show, how they are marked, and what they do without ffmpeg."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from xray2ctpa_bundle.previews import BAR, PreviewWriter, preview_frames

from tests.bundles.chest_xray_ctpa_translation.chests import GRID, affine, anatomy, chest, evaluate, radiograph
from transmodal.errors import InputError

WINDOW = (-1000.0, 600.0)


def frames(volume: torch.Tensor, pixels: int = 64) -> list[np.ndarray]:
    shown = preview_frames(volume, affine(), radiograph(volume), WINDOW, pixels)
    return [np.asarray(frame) for frame in shown]


def test_there_is_a_frame_for_each_slice_from_the_feet_to_the_head() -> None:
    volume = torch.arange(GRID[0])[:, None, None].expand(GRID)[None] * 100.0 - 900
    levels = [frame[20, 96] for frame in frames(volume)]
    expected = (255 * (torch.arange(GRID[0]) * 100.0 + 100) / 1600).round()
    assert levels == expected.tolist()


def test_slices_are_seen_from_the_feet_with_the_front_up() -> None:
    volume = torch.full((1, *GRID), -1000.0)
    volume[:, :, :4, :4] = 600.0  # front, patient's right
    shown = frames(volume)[0][: 64 - BAR, 64:]
    assert shown[4, 4] == 255
    assert shown[4, 60] == shown[40, 4] == 0


def test_a_volume_in_another_orientation_looks_the_same() -> None:
    volume = anatomy(1)
    turned = volume.flip(1).permute(0, 3, 1, 2)
    first, second = affine(), affine()
    second[:3, 3] += second[:3, 0] * (GRID[0] - 1)
    second[:3, :3] = torch.stack([first[:3, 2], -first[:3, 0], first[:3, 1]], dim=1)
    expected = preview_frames(volume, first, radiograph(volume), WINDOW, 64)
    found = preview_frames(turned, second, radiograph(volume), WINDOW, 64)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_line_on_the_radiograph_rises_with_the_slice() -> None:
    volume = torch.full((1, *GRID), -1000.0)
    black = torch.full((1, 16, 16), -1.0)
    shown = [np.asarray(frame) for frame in preview_frames(volume, affine(), black, WINDOW, 96)]
    # slices of 40 mm about the middle of a picture of 384 mm in 96 rows: 10 rows apart
    assert [int(frame[:, 0].argmax()) for frame in shown] == [83, 73, 63, 53, 43, 33, 23, 13]


def test_a_wide_field_of_view_makes_a_wide_picture() -> None:
    volume, wide = anatomy(1), affine()
    wide[:3, 2] *= 1.5
    assert preview_frames(volume, wide, radiograph(volume), WINDOW, 64)[0].size == (64 + 96, 64)


def test_every_frame_is_marked_within_the_picture() -> None:
    for frame in frames(torch.full((1, *GRID), -1000.0), pixels=128):
        assert (frame[-BAR:, 128:] > 200).sum() > 100


def test_a_gif_of_each_case_is_written_into_its_folder(tmp_path: Path) -> None:
    evaluate([chest("a", 1), chest("b", 2)], [PreviewWriter(tmp_path, pixels=64, milliseconds=200)])
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        "a/preview.gif", "b/preview.gif",
    ]  # fmt: skip
    with Image.open(tmp_path / "a" / "preview.gif") as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (GRID[0], (128, 64), 200)
        assert "not for diagnosis" in film.info["comment"].decode()


def fake_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    program = folder / "ffmpeg"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\nwc -c > "$last"\necho "$@" >> "$last"\n{ending}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_a_film_is_what_ffmpeg_makes_of_all_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ffmpeg(tmp_path, monkeypatch, "exit 0")
    evaluate([chest("a", 1)], [PreviewWriter(tmp_path, pixels=64, video=True)])
    size, arguments = (tmp_path / "a" / "preview.mp4").read_text().splitlines()
    assert int(size) == GRID[0] * 64 * 128
    assert "-pix_fmt gray -s 128x64 -r 8.33333" in arguments
    assert "comment=synthetic – not for diagnosis" in arguments


def test_where_ffmpeg_fails_the_gif_stays_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake_ffmpeg(tmp_path, monkeypatch, "echo no encoder >&2; exit 1")
    evaluate([chest("a", 1)], [PreviewWriter(tmp_path, pixels=64, video=True)])
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["preview.gif"]
    assert "no preview.mp4 of a: ffmpeg says 'no encoder'" in caplog.text


def test_without_ffmpeg_there_is_a_gif(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.INFO):
        evaluate([chest("a", 1)], [PreviewWriter(tmp_path, pixels=64, video=True)])
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["preview.gif"]
    assert "ffmpeg is not on the path" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": [5, 5]}, r"window: found \[5, 5\]"),
        ({"pixels": 65}, "pixels: found 65; wanted an even number"),
        ({"pixels": "64"}, "pixels: found '64'"),
        ({"milliseconds": 0}, "milliseconds: found 0"),
        ({"video": "true"}, "video: found 'true'; wanted true or false"),
    ],
)
def test_a_wrong_argument_is_refused(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"PreviewWriter, {message}"):
        PreviewWriter(tmp_path, **arguments)
