"""Radiographs with latents: encoded once, read from files, scaled, augmented, cached, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, RandGaussianNoised, RandShiftIntensityd
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader
from xray2ctpa_bundle.latents import EncodedVolumes

from transmodal.data import SeededSampler
from transmodal.errors import InputError
from transmodal.networks import LatentScale
from transmodal.stages import measured


def noise_of(file: Any, *shape: int) -> Tensor:
    """Values in [-1, 1] that depend on the file's name."""
    random = torch.Generator().manual_seed(sum(map(ord, Path(str(file)).name)))
    return torch.randn(1, *shape, generator=random).tanh()


class Preprocessing:
    """A radiograph and, where there is a CT, its volume; a radiograph that is missing is made of the CT."""

    def __init__(self, size: tuple[int, ...] = (3, 8, 8)) -> None:
        self.size, self.calls = size, 0

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        seen = {"image": MetaTensor(noise_of(sample.get("image") or sample["label"], 6, 6))}
        return (
            sample | seen | ({"label": MetaTensor(noise_of(sample["label"], *self.size))} if "label" in sample else {})
        )


class Autoencoder(nn.Module):
    """Two channels: the means of 1×2×2 voxels, and their squares, times a weight; remembers how it was called."""

    latent_channels = 2
    factors = (1, 2, 2)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0))
        self.calls: list[tuple[bool, bool]] = []

    def encode(self, volume: Tensor) -> Tensor:
        self.calls.append((self.training, torch.is_grad_enabled()))
        pooled = nn.functional.avg_pool3d(volume, (1, 2, 2))
        return self.weight * torch.cat([pooled, pooled.square()], dim=1)


class Network(nn.Module):
    """Has a scale."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = LatentScale(2)


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    made = []
    for case in ("a", "b", "c"):
        (tmp_path / case).mkdir()
        record = {
            "case": case,
            "image": f"{tmp_path}/{case}/xray_{case}.png",
            "label": f"{tmp_path}/{case}/ct_{case}.nii",
        }
        for key in ("image", "label"):
            Path(record[key]).write_bytes(b"")
        made.append(record)
    return made


def encoded(file: str) -> Tensor:
    with torch.no_grad():
        return Autoencoder().encode(noise_of(file, 3, 8, 8)[None])[0]


def with_file_of_latents(record: dict[str, Any], latents: np.ndarray) -> dict[str, Any]:
    path = Path(record["label"]).with_name("latent.npy")
    np.save(path, latents)
    return {"case": record["case"], "image": record["image"], "latent": str(path)}


def test_an_item_is_a_radiograph_with_the_latents_of_its_ct(records: list[dict[str, Any]]) -> None:
    item = EncodedVolumes(records, Preprocessing(), Autoencoder())[(1, 7)]
    assert set(item) == {"image", "label", "seed"}
    assert torch.equal(item["image"], noise_of(records[1]["image"], 6, 6))
    assert_close(item["label"], encoded(records[1]["label"]))
    assert item["seed"] == 7
    assert {type(item[key]) for key in ("image", "label")} == {Tensor}
    assert {item[key].dtype for key in ("image", "label")} == {torch.float32}


def test_volumes_are_encoded_once_without_gradient_and_in_evaluation_mode(records: list[dict[str, Any]]) -> None:
    preprocessing, autoencoder = Preprocessing(), Autoencoder().train()
    dataset = EncodedVolumes(records, preprocessing, autoencoder)
    for number in (0, 1, 0):
        dataset[(number, 5)]
    assert preprocessing.calls == 3
    assert autoencoder.calls == [(False, False)] * 3


def test_a_radiograph_may_come_from_the_transform_alone(records: list[dict[str, Any]]) -> None:
    without = [{key: value for key, value in record.items() if key != "image"} for record in records]
    item = EncodedVolumes(without, Preprocessing(), Autoencoder())[(2, 0)]
    assert torch.equal(item["image"], noise_of(records[2]["label"], 6, 6))


def test_latents_in_a_file_are_taken_as_they_are(records: list[dict[str, Any]]) -> None:
    given = np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32)
    autoencoder = Autoencoder()
    mixed = [with_file_of_latents(records[0], given), *records[1:]]
    dataset = EncodedVolumes(mixed, Preprocessing(), autoencoder)
    assert torch.equal(dataset[(0, 0)]["label"], torch.from_numpy(given))
    assert_close(dataset[(1, 0)]["label"], encoded(records[1]["label"]))
    assert len(autoencoder.calls) == 2


def test_keys_may_be_others(records: list[dict[str, Any]]) -> None:
    def preprocess(sample: dict[str, Any]) -> dict[str, Any]:
        return {"xray": noise_of(sample["xray"], 6, 6), "ct": noise_of(sample["ct"], 3, 8, 8)}

    data = [{"xray": record["image"], "ct": record["label"], "sick": 1} for record in records]
    keys = {"xray_key": "xray", "ct_key": "ct", "finding_key": "sick"}
    item = EncodedVolumes(data, preprocess, Autoencoder(), **keys)[(0, 0)]
    assert set(item) == {"xray", "ct", "seed", "sick"}


def test_findings_are_numbers_and_unknown_ones_none(records: list[dict[str, Any]]) -> None:
    told = [{**records[0], "embolism": "1"}, {**records[1], "embolism": 0}, records[2]]
    dataset = EncodedVolumes(told, Preprocessing(), Autoencoder())
    batch = next(iter(DataLoader(dataset, batch_size=3)))
    assert batch["embolism"].dtype == torch.float32
    assert_close(batch["embolism"], torch.tensor([1.0, 0.0, torch.nan]), equal_nan=True)


def test_a_measured_scale_normalises_the_latents_of_each_item(records: list[dict[str, Any]]) -> None:
    dataset, network = EncodedVolumes(records, Preprocessing(), Autoencoder()), Network()
    raw = dataset[(0, 0)]["label"]
    assert measured(network, dataset) is network
    voxels = torch.cat([encoded(record["label"]).flatten(1) for record in records], dim=1)
    assert_close(network.scale.mean, voxels.mean(dim=1))
    assert_close(dataset[(0, 0)]["label"], network.scale.apply_to(raw))


def test_the_published_range_clips_the_latents(records: list[dict[str, Any]]) -> None:
    dataset, network = EncodedVolumes(records, Preprocessing(), Autoencoder()), Network()
    raw = dataset[(0, 0)]["label"]
    measured(network, dataset, bounds=(-1.0, 1.5))
    found = dataset[(0, 0)]["label"]
    assert_close(found, ((raw.clamp(-1.0, 1.5) + 1.0) / 2.5) * 2 - 1)
    assert (found.amin(), found.amax()) == (-1, 1)


def test_items_are_pure_functions_of_their_index(records: list[dict[str, Any]]) -> None:
    augmentation = Compose([RandGaussianNoised("image", prob=1.0, std=0.1)])
    dataset = EncodedVolumes(records, Preprocessing(), Autoencoder(), augmentation=augmentation)
    first = dataset[(0, 9)]["image"]
    dataset[(1, 3)]
    assert torch.equal(dataset[(0, 9)]["image"], first)
    assert not torch.equal(dataset[(0, 10)]["image"], first)
    assert torch.equal(dataset[1]["image"], dataset[(1, 1)]["image"])


def test_augmented_radiographs_stay_in_range_and_latents_are_left_alone(records: list[dict[str, Any]]) -> None:
    brighter = Compose([RandShiftIntensityd("image", offsets=(0.5, 0.5), prob=1.0)])
    item = EncodedVolumes(records, Preprocessing(), Autoencoder(), augmentation=brighter)[(0, 1)]
    assert_close(item["image"], (noise_of(records[0]["image"], 6, 6) + 0.5).clamp(-1, 1))
    assert type(item["image"]) is Tensor
    assert_close(item["label"], encoded(records[0]["label"]))


def test_worker_processes_change_nothing(records: list[dict[str, Any]]) -> None:
    augmentation = Compose([RandGaussianNoised("image", prob=1.0, std=0.1)])
    dataset = EncodedVolumes(records, Preprocessing(), Autoencoder(), augmentation=augmentation)
    alone, workers = (
        list(DataLoader(dataset, sampler=SeededSampler(dataset), batch_size=3, num_workers=n)) for n in (0, 1)
    )
    for key in ("image", "label", "seed"):
        assert torch.equal(alone[0][key], workers[0][key])


def test_the_cache_spares_encoding_and_changes_nothing(records: list[dict[str, Any]], tmp_path: Path) -> None:
    cache, again = tmp_path / "cache", Preprocessing()
    first = EncodedVolumes(records, Preprocessing(), Autoencoder(), cache_dir=cache, cache_key="a")
    cached = EncodedVolumes(records, again, Autoencoder(), cache_dir=str(cache), cache_key="a")
    assert again.calls == 0
    for number in range(3):
        for key in ("image", "label"):
            assert torch.equal(first[(number, 0)][key], cached[(number, 0)][key])
    assert_close(first.latents, cached.latents)


@pytest.mark.parametrize("change", ["radiograph", "ct", "weights", "preprocessing"])
def test_the_cache_notices_what_changes(records: list[dict[str, Any]], tmp_path: Path, change: str) -> None:
    EncodedVolumes(records, Preprocessing(), Autoencoder(), cache_dir=tmp_path / "cache", cache_key="a")
    again, autoencoder = Preprocessing(), Autoencoder()
    if change in ("radiograph", "ct"):
        os.utime(records[1]["image" if change == "radiograph" else "label"], ns=(1, 1))
    if change == "weights":
        nn.init.constant_(autoencoder.weight, 2.0)
    key = "other" if change == "preprocessing" else "a"
    EncodedVolumes(records, again, autoencoder, cache_dir=tmp_path / "cache", cache_key=key)
    assert again.calls == (1 if change in ("radiograph", "ct") else 3)


def test_a_cache_without_the_name_of_its_preprocessing_is_refused(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="found no cache_key beside it"):
        EncodedVolumes(records, Preprocessing(), Autoencoder(), cache_dir=tmp_path / "cache")


def test_no_cases_are_refused() -> None:
    with pytest.raises(InputError, match="training cases: found none; wanted at least one case with a CT"):
        EncodedVolumes([], Preprocessing(), Autoencoder())


def test_latents_of_another_autoencoder_are_refused_by_their_file(records: list[dict[str, Any]]) -> None:
    wrong = with_file_of_latents(records[0], np.random.default_rng(0).standard_normal((3, 3, 4, 4)))
    with pytest.raises(InputError, match=r"a/latent\.npy: found latents of 3 channels; wanted 2, as the autoencoder"):
        EncodedVolumes([wrong], Preprocessing(), Autoencoder())


def test_latents_of_another_size_are_refused_by_their_case(records: list[dict[str, Any]]) -> None:
    wrong = with_file_of_latents(records[1], np.random.default_rng(0).standard_normal((2, 5, 4, 4)))
    with pytest.raises(InputError, match="case b: found latents of 2×5×4×4; wanted the 2×3×4×4 of case a"):
        EncodedVolumes([records[0], wrong], Preprocessing(), Autoencoder())


def test_radiographs_of_another_size_are_refused_by_their_case(records: list[dict[str, Any]]) -> None:
    def preprocess(sample: dict[str, Any]) -> dict[str, Any]:
        side = 6 if sample["case"] == "a" else 5
        return Preprocessing()(sample) | {"image": torch.zeros(1, side, side)}

    with pytest.raises(InputError, match="case b: found a radiograph of 1×5×5; wanted the 1×6×6 of case a"):
        EncodedVolumes(records, preprocess, Autoencoder())


def test_latents_of_the_size_that_the_network_works_on_are_taken(records: list[dict[str, Any]]) -> None:
    dataset = EncodedVolumes(records, Preprocessing(), Autoencoder(), latent_size=[3, 4, 4])
    assert dataset[(0, 0)]["label"].shape == (2, 3, 4, 4)


def test_latents_of_another_size_than_the_networks_are_refused_with_their_grid(records: list[dict[str, Any]]) -> None:
    """Though all cases agree, as published ones do, of 128 slices."""
    random = np.random.default_rng(0)
    published = [with_file_of_latents(record, random.standard_normal((2, 128, 4, 4))) for record in records]
    found = r"a/latent\.npy: found latents of 128×4×4, which are of a CT of 128×8×8 voxels; wanted 64×4×4"
    with pytest.raises(InputError, match=rf'{found}(.|\n)*--grid "\[128, 8, 8\]" (.|\n)*field_of_view'):
        EncodedVolumes(published, Preprocessing(), Autoencoder(), latent_size=(64, 4, 4))


def test_latents_of_another_size_are_refused_from_the_cache_too(records: list[dict[str, Any]], tmp_path: Path) -> None:
    EncodedVolumes(records, Preprocessing(), Autoencoder(), cache_dir=tmp_path / "cache", cache_key="a")
    with pytest.raises(InputError, match=r"ct_a\.nii: found latents of 3×4×4"):
        EncodedVolumes(
            records, Preprocessing(), Autoencoder(), latent_size=(3, 8, 8), cache_dir=tmp_path / "cache", cache_key="a"
        )
