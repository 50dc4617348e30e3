"""Paired slices: image and label move together, an item is a function of its index, and errors name the case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, RandFlipd, RandSpatialCropd
from torch.utils.data import DataLoader

from transmodal import InputError
from transmodal.data import PairedSlices, SeededSampler
from transmodal.transforms import (
    BodyMask,
    BodyMaskd,
    CheckedLoadImaged,
    ContrastLoadImaged,
    EnsureVolumed,
    RobustPercentiles,
    ScaleModalityd,
)

CONTRASTS = ["t2", "t1"]


class Preprocessing:
    """Two channels (4, 6, 5) of noise and a label that is their sum, with body in slices 1 to 3; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(dict(sample))
        image = torch.rand(2, 4, 6, 5, generator=torch.Generator().manual_seed(len(self.calls))) - 0.5
        body = torch.zeros(1, 4, 6, 5)
        body[..., 1:4] = 1
        return sample | {"image": image, "label": image.sum(0, keepdim=True), "body_image": body}


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    files = [tmp_path / f"{name}.nii" for name in ("a_t2", "a_t1", "a_flair", "b", "b_flair")]
    for file in files:
        file.write_bytes(b"")
    first, second, third, fourth, fifth = map(str, files)
    return [
        {"case": "a", "image": [first, second], "label": third},
        {"image": fourth, "label": fifth},  # as MONAI Label gives them
    ]


@pytest.fixture
def augmentation() -> Compose:
    crop = RandSpatialCropd(["image", "body"], roi_size=(3, 4), random_size=False)
    return Compose([crop, RandFlipd("image", prob=0.5, spatial_axis=0)])


def test_items_are_slices_with_body_of_all_contrasts_and_the_label(records: list[dict[str, Any]]) -> None:
    dataset = PairedSlices(records, Preprocessing())
    assert len(dataset) == 6
    item = dataset[(4, 17)]
    assert set(item) == {"image", "label", "seed"}
    assert (tuple(item["image"].shape), tuple(item["label"].shape), item["seed"]) == ((2, 4, 6), (1, 4, 6), 17)
    volume = torch.rand(2, 4, 6, 5, generator=torch.Generator().manual_seed(2)) - 0.5
    assert torch.equal(item["image"], volume[..., 2])
    assert item["label"].dtype == torch.float32


def test_image_and_label_move_together(records: list[dict[str, Any]], augmentation: Compose) -> None:
    dataset = PairedSlices(records, Preprocessing(), augmentation)
    for seed in range(20):
        item = dataset[(seed % 6, seed)]
        assert tuple(item["image"].shape) == (2, 3, 4)
        torch.testing.assert_close(item["label"], item["image"].sum(0, keepdim=True))


def test_slices_of_several_planes_keep_image_and_label_together(records: list[dict[str, Any]]) -> None:
    dataset = PairedSlices(records[:1], Preprocessing(), axis=[0, 2])
    assert len(dataset) == 4 + 3
    for number in range(len(dataset)):
        item = dataset[(number, 0)]
        assert tuple(item["image"].shape) == ((2, 6, 5) if number < 4 else (2, 4, 6))
        torch.testing.assert_close(item["label"], item["image"].sum(0, keepdim=True))


def test_items_are_pure_functions_of_their_index(records: list[dict[str, Any]], augmentation: Compose) -> None:
    dataset = PairedSlices(records, Preprocessing(), augmentation)
    first = dataset[(3, 77)]
    dataset[(0, 3)]
    again = dataset[(3, 77)]
    assert torch.equal(first["image"], again["image"])
    assert torch.equal(first["label"], again["label"])


def test_augmentation_varies_with_the_seed(records: list[dict[str, Any]], augmentation: Compose) -> None:
    dataset = PairedSlices(records, Preprocessing(), augmentation)
    assert len({tuple(dataset[(3, seed)]["label"].flatten().tolist()) for seed in range(20)}) > 5


def test_the_domains_hold_the_target_where_its_modality_is_known(records: list[dict[str, Any]]) -> None:
    assert [each.modality for each in PairedSlices(records, Preprocessing(), modality="mr").domains] == ["mr"]
    dataset = PairedSlices(records, Preprocessing(), modality="mr", target_modality="ct")
    source, target = dataset.domains
    assert (source.modality, target.modality) == ("mr", "ct")
    for number in range(len(dataset)):
        item = dataset[(number, 0)]
        assert torch.equal(source[number]["image"][:-1], item["image"])
        assert torch.equal(target[number]["image"], item["label"])


def test_items_are_plain_tensors(records: list[dict[str, Any]], augmentation: Compose) -> None:
    item = PairedSlices(records, Preprocessing(), augmentation)[(0, 0)]
    assert not isinstance(item["image"], MetaTensor)
    assert not isinstance(item["label"], MetaTensor)


def test_worker_processes_change_nothing(records: list[dict[str, Any]], augmentation: Compose) -> None:
    dataset = PairedSlices(records, Preprocessing(), augmentation)
    alone, workers = (
        list(DataLoader(dataset, sampler=SeededSampler(dataset), batch_size=2, num_workers=n)) for n in (0, 2)
    )
    for a, b in zip(alone, workers, strict=True):
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["seed"], b["seed"])


def test_a_plain_loader_works_too(records: list[dict[str, Any]]) -> None:
    batches = list(DataLoader(PairedSlices(records, Preprocessing()), batch_size=4))
    assert torch.cat([batch["seed"] for batch in batches]).tolist() == list(range(6))


def test_keys_may_have_other_names(records: list[dict[str, Any]]) -> None:
    renamed = [{"source": record["image"], "target": record["label"]} for record in records]

    def transform(sample: dict[str, Any]) -> dict[str, Any]:
        done = Preprocessing()(sample)
        return {"source": done["image"], "target": done["label"], "body_source": done["body_image"]}

    assert set(PairedSlices(renamed, transform, keys=("source", "target"))[0]) == {"source", "target", "seed"}


def test_the_transform_gets_the_whole_record(records: list[dict[str, Any]]) -> None:
    transform = Preprocessing()
    PairedSlices([{**records[0], "mask": records[1]["label"]}], transform)
    assert transform.calls == [{**records[0], "mask": records[1]["label"]}]


def test_data_and_transform_stay_at_hand(records: list[dict[str, Any]]) -> None:
    transform = Preprocessing()
    dataset = PairedSlices(records, transform)
    assert dataset.data is records
    assert dataset.transform is transform


@pytest.mark.parametrize("file", ["a_t2.nii", "a_t1.nii", "a_flair.nii"])
def test_the_cache_notices_a_change_of_any_file(records: list[dict[str, Any]], tmp_path: Path, file: str) -> None:
    cache = str(tmp_path / "cache")
    first, again, changed = Preprocessing(), Preprocessing(), Preprocessing()
    plain = PairedSlices(records, first, cache_dir=cache, cache_key="a")
    cached = PairedSlices(records, again, cache_dir=cache, cache_key="a")
    assert (len(first.calls), len(again.calls)) == (2, 0)
    assert torch.equal(plain[4]["image"], cached[4]["image"])
    (tmp_path / file).write_bytes(b"changed")
    PairedSlices(records, changed, cache_dir=cache, cache_key="a")
    assert len(changed.calls) == 1


def test_the_cache_tells_orders_of_contrasts_apart(records: list[dict[str, Any]], tmp_path: Path) -> None:
    cache, other = str(tmp_path / "cache"), Preprocessing()
    PairedSlices(records[:1], Preprocessing(), cache_dir=cache, cache_key="a")
    PairedSlices([records[0] | {"image": records[0]["image"][::-1]}], other, cache_dir=cache, cache_key="a")
    assert len(other.calls) == 1


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"case": "c", "image": "c.nii"}, "case c: found no label"),
        ({"label": "c.nii"}, "training record 0: found no image"),
    ],
)
def test_a_record_without_its_pair_is_refused(record: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=f"{told}; wanted an image under each of the keys image and label"):
        PairedSlices([record], Preprocessing())


def test_a_pair_on_two_grids_is_refused_by_its_files(records: list[dict[str, Any]]) -> None:
    def transform(sample: dict[str, Any]) -> dict[str, Any]:
        done = Preprocessing()(sample)
        return done | {"label": done["label"][:, :3]}

    with pytest.raises(InputError, match=r"a_t2\.nii: found another grid than .*a_flair\.nii: shape 4×6×5 against 3"):
        PairedSlices(records, transform)


@pytest.mark.parametrize("together", [False, True])
def test_files_of_several_contrasts_become_batches(tmp_path: Path, together: bool) -> None:
    """The readers and scales of a bundle, on a list of files and on the one file that MONAI Label sends."""
    volumes = np.random.default_rng(0).random((3, 12, 10, 4)).astype(np.float32)
    names = [*CONTRASTS, "flair"]
    for name, volume in zip(names, volumes, strict=True):
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / f"{name}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(volumes[:2], 0, -1), np.eye(4)), tmp_path / "both.nii.gz")
    image = str(tmp_path / "both.nii.gz") if together else [str(tmp_path / f"{name}.nii.gz") for name in CONTRASTS]
    scale = dict.fromkeys(names, RobustPercentiles(0, 100))
    transform = Compose(
        [
            ContrastLoadImaged("image", CONTRASTS),
            CheckedLoadImaged("label", "flair"),
            EnsureVolumed("label"),
            BodyMaskd("image", "t2", {"t2": BodyMask(threshold=-1)}),
            ScaleModalityd("image", CONTRASTS, scale),
            ScaleModalityd("label", "flair", scale),
        ]
    )
    dataset = PairedSlices([{"image": image, "label": str(tmp_path / "flair.nii.gz")}], transform)
    (batch,) = DataLoader(dataset, sampler=SeededSampler(dataset), batch_size=4)
    assert (tuple(batch["image"].shape), tuple(batch["label"].shape)) == ((4, 2, 12, 10), (4, 1, 12, 10))
    low, high = volumes[1].min(), volumes[1].max()
    expected = (volumes[1, ..., 2] - low) * 2 / (high - low) - 1
    torch.testing.assert_close(dataset[2]["image"][1], torch.from_numpy(expected))
