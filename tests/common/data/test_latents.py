"""Latents as files: what is read, what is refused, and that the case layout knows them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from transmodal.data import find_cases, read_latent, read_sections
from transmodal.errors import InputError


def latent(path: Path, shape: tuple[int, ...] = (4, 3, 2, 2), dtype: type = np.float32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.arange(np.prod(shape)).reshape(shape).astype(dtype))
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_latents_are_read_as_float32_whatever_they_were_saved_as(tmp_path: Path, dtype: type) -> None:
    read = read_latent(latent(tmp_path / "latent.npy", dtype=dtype))
    assert read.dtype == np.float32
    assert read.shape == (4, 3, 2, 2)
    assert read[1, 2, 0, 1] == 21


@pytest.mark.parametrize(("shape", "dtype"), [((4, 3, 2), np.float32), ((4, 3, 2, 2), np.int16), ((4, 0, 2, 2), float)])
def test_anything_but_channels_of_a_volume_is_refused(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    with pytest.raises(InputError, match=r"\(C, F, h, w\)"):
        read_latent(latent(tmp_path / "latent.npy", shape, dtype))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = latent(tmp_path / "latent.npy")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="cannot be read"):
        read_latent(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_latent(tmp_path / "latent.npy")


@pytest.mark.parametrize(("value", "told"), [(np.nan, "NaN"), (0.0, "one value throughout")])
def test_values_that_say_nothing_are_refused(tmp_path: Path, value: float, told: str) -> None:
    np.save(tmp_path / "latent.npy", np.full((4, 3, 2, 2), value, np.float32))
    with pytest.raises(InputError, match=told):
        read_latent(tmp_path / "latent.npy")


def test_latents_are_files_of_their_case(tmp_path: Path) -> None:
    path = latent(tmp_path / "a" / "latent.npy")
    latent(tmp_path / "a" / "others.npy")
    assert find_cases(tmp_path) == [{"case": "a", "latent": str(path)}]


def test_images_alone_are_found_when_only_they_are_asked_for(tmp_path: Path) -> None:
    latent(tmp_path / "a" / "latent.npy")
    (tmp_path / "a" / "ct.nii").touch()
    assert find_cases(tmp_path, ["ct"]) == [{"case": "a", "ct": f"{tmp_path}/a/ct.nii"}]


@pytest.mark.parametrize(("name", "case"), [("a/latent.npy", "a"), ("17.npy", "17")])
def test_a_lone_file_of_latents_is_a_data_set_where_latents_are_wanted(tmp_path: Path, name: str, case: str) -> None:
    path = latent(tmp_path / name)
    assert find_cases(path, ["latent"]) == [{"case": case, "latent": str(path)}]


def test_a_lone_array_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.npy"):
        find_cases(latent(tmp_path / "17.npy"), ["ct"])


def test_a_data_list_names_cases_after_their_latents(tmp_path: Path) -> None:
    paths = [latent(tmp_path / "a" / "latent.npy"), latent(tmp_path / "17.npy")]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": [{"latent": str(path)} for path in paths]}))
    assert [case["case"] for case in read_sections(tmp_path / "dataset.json")["training"]] == ["a", "17"]
