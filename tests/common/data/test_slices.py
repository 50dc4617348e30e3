"""Slices of volumes: which are kept, what they hold, and the cache."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from nibabel.orientations import aff2axcodes

from transmodal import InputError
from transmodal.data.slices import VolumeSlices


class Preprocessing:
    """A volume whose slice s holds the value s everywhere, with body in slices 2 to 4 of 6; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        number = float(Path(sample["image"]).stem)
        image = torch.arange(6.0).expand(1, 4, 5, 6) + 10 * number
        body = torch.zeros(1, 4, 5, 6)
        body[..., 2:5] = 1
        return {"image": image, "body_image": body, "modality": sample.get("modality")}


def from_mask(sample: dict[str, Any]) -> dict[str, Any]:
    """Everything is body where a mask file is named; nothing is otherwise."""
    image = torch.zeros(1, 4, 5, 6)
    return {"image": image, "body_image": image + float("body_image" in sample)}


def varied(sample: dict[str, Any]) -> dict[str, Any]:
    """A volume (2, 4, 5, 6) of which every value is another, with a body that no axis shows in all its slices."""
    image = torch.arange(240.0).reshape(2, 4, 5, 6) + 1000 * float(Path(sample["image"]).stem)
    body = torch.zeros(1, 4, 5, 6)
    body[:, 1:3, 2:, :4] = 1
    body[:, 1, 2, 3] = 0
    return {"image": image, "body_image": body}


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, str]]:
    paths = [tmp_path / f"{number}.nii" for number in (1, 2)]
    for path in paths:
        path.write_bytes(b"")
    return [{"case": path.stem, "image": str(path)} for path in paths]


@pytest.mark.parametrize(
    ("fraction", "told"), [(0.05, "2 volumes, 6 slices with at least 5% body"), (0.0, "2 volumes, 12 slices")]
)
def test_the_log_tells_what_was_read(
    records: list[dict[str, str]], fraction: float, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="transmodal"):
        VolumeSlices(records, Preprocessing(), modality="mr", min_body_fraction=fraction)
    assert caplog.messages == [f"mr: {told}"]


def test_only_slices_with_body_are_kept(records: list[dict[str, str]]) -> None:
    slices = VolumeSlices(records, Preprocessing())
    assert [float(slices[number]["image"][0, 0, 0]) for number in range(len(slices))] == [12, 13, 14, 22, 23, 24]


def test_slices_carry_channel_and_body(records: list[dict[str, str]]) -> None:
    sample = VolumeSlices(records, Preprocessing())[0]
    assert sample["image"].shape == sample["body"].shape == (1, 4, 5)
    assert sample["image"].dtype == torch.float32


@pytest.mark.parametrize(("axis", "shape"), [(0, (1, 5, 6)), (1, (1, 4, 6))])
def test_other_axes(records: list[dict[str, str]], axis: int, shape: tuple[int, ...]) -> None:
    assert VolumeSlices(records, Preprocessing(), axis=axis)[0]["image"].shape == shape


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2), [0]])
def test_several_axes_give_the_slices_of_each(records: list[dict[str, str]], axes: list[int]) -> None:
    """In the order of volumes, then of axes; rows and columns are those that one axis alone gives."""
    together = VolumeSlices(records, varied, axis=axes)
    alone = [VolumeSlices([record], varied, axis=axis) for record in records for axis in axes]
    expected = [slices[number] for slices in alone for number in range(len(slices))]
    assert len(together) == len(expected)
    for number, sample in enumerate(expected):
        assert torch.equal(together[number]["image"], sample["image"])
        assert torch.equal(together[number]["body"], sample["body"])


def test_a_volume_is_read_and_kept_once_for_all_axes(records: list[dict[str, str]]) -> None:
    preprocessing = Preprocessing()
    slices = VolumeSlices(records, preprocessing, axis=[0, 1, 2])
    assert (preprocessing.calls, len(slices.volumes)) == (2, 2)


def test_several_axes_share_the_cache_of_the_first(records: list[dict[str, str]], tmp_path: Path) -> None:
    VolumeSlices(records, varied, axis=1, cache_dir=str(tmp_path / "cache"), cache_key="a")
    preprocessing = Preprocessing()
    cached = VolumeSlices(records, preprocessing, axis=[1, 0], cache_dir=str(tmp_path / "cache"), cache_key="a")
    plain = VolumeSlices(records, varied, axis=[1, 0])
    assert preprocessing.calls == 0
    for number in range(len(plain)):
        assert torch.equal(cached[number]["image"], plain[number]["image"])


@pytest.mark.parametrize("axis", [[], 3, [0, 0], -1, "0", True, [0, None]])
def test_an_axis_that_a_volume_does_not_have_is_refused(records: list[dict[str, str]], axis: Any) -> None:
    with pytest.raises(InputError, match=r"axis of the training slices: found .*; wanted 0, 1 or 2, or a list of"):
        VolumeSlices(records, Preprocessing(), axis=axis)


def test_a_record_may_name_its_own_modality(records: list[dict[str, str]]) -> None:
    told: list[str | None] = []

    def preprocess(sample: dict[str, Any]) -> dict[str, Any]:
        told.append(sample.get("modality"))
        return Preprocessing()(sample)

    VolumeSlices([records[0] | {"modality": "mr"}, records[1]], preprocess, modality="ct")
    assert told == ["mr", "ct"]


def test_the_cache_tells_modalities_of_records_apart(records: list[dict[str, str]], tmp_path: Path) -> None:
    cache, other = str(tmp_path / "cache"), Preprocessing()
    VolumeSlices([records[0] | {"modality": "mr"}], Preprocessing(), cache_dir=cache, cache_key="a")
    VolumeSlices([records[0] | {"modality": "ct"}], other, cache_dir=cache, cache_key="a")
    assert other.calls == 1


def test_records_without_the_key_are_skipped(records: list[dict[str, str]]) -> None:
    assert len(VolumeSlices([{"case": "x", "label": "9.nii"}, *records], Preprocessing())) == 6


def test_no_body_at_all_is_an_error(records: list[dict[str, str]]) -> None:
    with pytest.raises(InputError, match="2 volumes, none with a slice of at least 100% body"):
        VolumeSlices(
            records,
            lambda sample: {"image": torch.zeros(1, 4, 5, 6), "body_image": torch.zeros(1, 4, 5, 6)},
            min_body_fraction=1.0,
        )


def test_the_cache_spares_preprocessing_and_changes_nothing(records: list[dict[str, str]], tmp_path: Path) -> None:
    first, again = Preprocessing(), Preprocessing()
    plain = VolumeSlices(records, Preprocessing())
    VolumeSlices(records, first, cache_dir=str(tmp_path / "cache"), cache_key="a")
    cached = VolumeSlices(records, again, cache_dir=str(tmp_path / "cache"), cache_key="a")
    assert (first.calls, again.calls) == (2, 0)
    for number in range(len(plain)):
        torch.testing.assert_close(cached[number]["image"], plain[number]["image"])


def test_the_cache_notices_changed_files_and_preprocessing(records: list[dict[str, str]], tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    VolumeSlices(records, Preprocessing(), cache_dir=cache, cache_key="a")
    other = Preprocessing()
    VolumeSlices(records, other, cache_dir=cache, cache_key="b")
    assert other.calls == 2
    np.save(records[0]["image"], np.zeros(3))
    Path(records[0]["image"]).write_bytes(b"changed")
    changed = Preprocessing()
    VolumeSlices(records, changed, cache_dir=cache, cache_key="b")
    assert changed.calls == 1


def test_a_cache_without_the_name_of_its_preprocessing_is_refused(
    records: list[dict[str, str]], tmp_path: Path
) -> None:
    """Or volumes of one preprocessing would be read as those of another."""
    with pytest.raises(InputError, match=r"cache_dir .*cache: found no cache_key beside it"):
        VolumeSlices(records, Preprocessing(), cache_dir=str(tmp_path / "cache"))


def test_the_cache_notices_every_file_of_a_list(records: list[dict[str, str]], tmp_path: Path) -> None:
    both = [{"case": "a", "image": [record["image"] for record in records]}]
    cache = str(tmp_path / "cache")

    def preprocess(sample: dict[str, Any]) -> dict[str, Any]:
        return Preprocessing()({"image": sample["image"][0]})

    VolumeSlices(both, preprocess, cache_dir=cache, cache_key="a")
    Path(records[1]["image"]).write_bytes(b"changed")
    VolumeSlices(both, preprocess, cache_dir=cache, cache_key="a")
    assert len(list(Path(cache).glob("*.image.npy"))) == 2


@pytest.mark.parametrize("key", ["image", "label"])
def test_the_mask_file_of_a_record_reaches_the_preprocessing(records: list[dict[str, str]], key: str) -> None:
    data = [{"case": "a", key: "1.nii", f"body_{key}": "mask.nii"}, {"case": "b", key: "2.nii", "body_other": "x.nii"}]
    assert len(VolumeSlices(data, from_mask, key=key)) == 6


def test_the_cache_notices_another_and_a_changed_mask_file(records: list[dict[str, str]], tmp_path: Path) -> None:
    cache, masks = str(tmp_path / "cache"), [tmp_path / name for name in ("one.nii", "two.nii")]
    for mask in masks:
        mask.write_bytes(b"")

    def volumes_made(**mask: str) -> int:
        preprocessing = Preprocessing()
        VolumeSlices([{**records[0], **mask}], preprocessing, cache_dir=cache, cache_key="a")
        return preprocessing.calls

    assert volumes_made() == 1
    assert volumes_made(body_image=str(masks[0])) == 1
    assert volumes_made(body_image=str(masks[0])) == 0
    assert volumes_made(body_image=str(masks[1])) == 1
    masks[0].write_bytes(b"changed")
    os.utime(masks[0], ns=(1, 1))
    assert volumes_made(body_image=str(masks[0])) == 1


@pytest.mark.parametrize(
    ("axis", "spacing", "axcodes"),
    [(0, [0.5, 2, 3], "RAS"), (1, [2, 0.5, 3], "ARS"), (2, [3, 0.5, 2], "SRA")],
)
def test_affines_are_those_of_slices_rows_and_columns(
    records: list[dict[str, str]], tmp_path: Path, axis: int, spacing: list[float], axcodes: str
) -> None:
    def preprocess(sample: dict[str, Any]) -> dict[str, Any]:
        made = Preprocessing()(sample)
        return made | {"image": MetaTensor(made["image"], affine=torch.diag(torch.tensor([0.5, 2.0, 3.0, 1.0])))}

    for _ in range(2):  # computed, then from the cache
        slices = VolumeSlices(records, preprocess, axis=axis, cache_dir=str(tmp_path / "cache"), cache_key="a")
        for affine in slices.affines:
            assert np.abs(affine[:3, :3]).max(axis=0).tolist() == spacing
            assert "".join(aff2axcodes(affine)) == axcodes
