"""Pairs of latents: encoded once and whole, cut where the body is, normalised, and their cache."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from mddga_bundle.latents import LatentPairs
from mddga_bundle.networks import MDDGA
from mddga_bundle.vqvae import VQVAE
from monai.data import MetaTensor
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import DataLoader

from transmodal.data import SeededSampler
from transmodal.errors import InputError
from transmodal.networks import LatentScale
from transmodal.stages import measured

SHAPE = (20, 18, 16)
"""Voxels of a volume; the latents are 5×5×4."""


def volume(file: Any, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Noise that depends on the file's name."""
    random = torch.Generator().manual_seed(sum(map(ord, Path(str(file)).name)))
    return torch.randn(1, *shape, generator=random).tanh()


class Preprocessing:
    """Two volumes on one grid with a body of 4 latent voxels' extent in the middle; counts its calls."""

    def __init__(self, shape: tuple[int, ...] = SHAPE) -> None:
        self.shape, self.calls = shape, 0

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        body = torch.zeros(1, *self.shape, dtype=torch.uint8)
        body[:, 8, 8, 5] = 1
        images = {key: volume(sample[key], self.shape) for key in ("image", "label")}
        return sample | images | {"body_label": body}


class Part(nn.Module):
    """A network of the size that MDDGA asks about."""

    out_channels = 3


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, str]]:
    pairs = [{"case": name, "image": f"{name}_made.nii", "label": f"{name}_mr.nii"} for name in ("a", "b")]
    records = [{key: str(tmp_path / v) if key != "case" else v for key, v in pair.items()} for pair in pairs]
    for record in records:
        for key in ("image", "label"):
            Path(record[key]).write_bytes(b"")
    return records


@pytest.fixture
def autoencoder() -> VQVAE:
    torch.manual_seed(1)
    return VQVAE(3, embedding_dim=3, num_embeddings=8, channels=(3, 4), num_res_blocks=1)


@torch.no_grad()
def encoded(autoencoder: VQVAE, file: str) -> Tensor:
    latents: Tensor = autoencoder.encode(volume(file)[None])[0]
    return latents


def test_an_item_is_a_part_of_the_latents_of_both_whole_volumes(
    records: list[dict[str, str]], autoencoder: VQVAE
) -> None:
    """Of the middle's one voxel of body, (8, 8, 5), the latent voxel is (2, 2, 1)."""
    item = LatentPairs(records, Preprocessing(), autoencoder, (8, 4, 12))[(1, 3)]
    assert set(item) == {"image", "label", "seed"}
    assert item["seed"] == 3
    for key in ("image", "label"):
        whole = encoded(autoencoder, records[1][key])
        assert item[key].dtype == torch.float32
        assert_close(item[key], whole[:, 1:3, 2:3, 0:3])


def test_the_volumes_are_encoded_once_without_gradient_and_in_evaluation_mode(
    records: list[dict[str, str]], autoencoder: VQVAE
) -> None:
    seen: list[tuple[bool, bool]] = []
    autoencoder.train().encoder.register_forward_hook(lambda *_: None)
    autoencoder.encoder.head.register_forward_hook(
        lambda module, *_: seen.append((module.training, torch.is_grad_enabled()))
    )
    preprocessing = Preprocessing()
    dataset = LatentPairs(records, preprocessing, autoencoder, (8, 8, 8))
    for number in (0, 1, 0):
        dataset[(number, 5)]
    assert preprocessing.calls == 2
    assert seen == [(False, False)] * 4


def test_slabs_change_nothing(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    whole, slabs = (LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8), slab=n) for n in (None, 1))
    assert_close(slabs[(0, 2)]["image"], whole[(0, 2)]["image"])


def test_air_is_encoded_around_a_volume_smaller_than_the_patch(
    records: list[dict[str, str]], autoencoder: VQVAE
) -> None:
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (20, 36, 16))
    enlarged = torch.full((1, 1, 20, 36, 16), -1.0)
    enlarged[0, :, :, 9:27] = volume(records[0]["label"])
    with torch.no_grad():
        assert_close(dataset[(0, 0)]["label"], autoencoder.encode(enlarged)[0])


def test_sizes_that_four_does_not_divide_have_a_last_latent(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    dataset = LatentPairs(records, Preprocessing((21, 18, 15)), autoencoder, (8, 8, 8))
    assert [tuple(latent.shape) for latent in dataset.latents] == [(3, 6, 5, 4)] * 2


def test_the_latents_of_the_targets_are_at_hand(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    latents = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8)).latents
    assert_close(latents, [encoded(autoencoder, record["label"]) for record in records])


def test_items_are_pure_functions_of_their_index(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (4, 4, 4))
    first = dataset[(0, 9)]["image"]
    dataset[(1, 3)]
    assert torch.equal(dataset[(0, 9)]["image"], first)
    assert torch.equal(dataset[1]["label"], dataset[(1, 1)]["label"])


def test_worker_processes_change_nothing(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8))
    alone, workers = (
        list(DataLoader(dataset, sampler=SeededSampler(dataset), batch_size=2, num_workers=n)) for n in (0, 1)
    )
    for key in ("image", "label", "seed"):
        assert torch.equal(alone[0][key], workers[0][key])


def test_a_measured_scale_normalises_the_items_and_belongs_to_the_network(
    records: list[dict[str, str]], autoencoder: VQVAE
) -> None:
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (20, 20, 16))
    raw = dataset[(0, 0)]
    network = MDDGA(autoencoder, nn.Identity(), Part())
    assert measured(network, dataset) is network
    targets = torch.cat([latent.flatten(1) for latent in dataset.latents], dim=1)
    assert_close(network.scale.mean, targets.mean(dim=1))
    assert_close(network.scale.std, targets.std(dim=1, correction=0))
    item = dataset[(0, 0)]
    for key in ("image", "label"):
        assert_close(item[key], network.scale.apply_to(raw[key]))
        assert not torch.allclose(item[key], raw[key])


@pytest.mark.parametrize("enabled", [True, False], ids=["measured", "raw"])
def test_the_data_set_follows_a_scale_that_is_loaded(
    records: list[dict[str, str]], autoencoder: VQVAE, enabled: bool
) -> None:
    """As MONAI Label loads the weights of an earlier training, with their scale, before it trains on."""
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8))
    raw = dataset[(0, 0)]
    network = measured(MDDGA(autoencoder, nn.Identity(), Part()), dataset, enabled)
    earlier = {**network.state_dict(), "scale.mean": torch.full((3,), 5.0), "scale.std": torch.full((3,), 2.0)}
    network.load_state_dict(earlier)
    item = dataset[(0, 0)]
    for key in ("image", "label"):
        assert_close(item[key], (raw[key] - 5) / 2)
        assert_close(item[key], network.scale.apply_to(raw[key]))


def test_the_data_set_does_not_follow_a_copy_of_the_network(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8))
    average = deepcopy(measured(MDDGA(autoencoder, nn.Identity(), Part()), dataset))
    before = dataset[(0, 0)]["image"]
    average.load_state_dict({**average.state_dict(), "scale.mean": torch.full((3,), 5.0)})
    assert torch.equal(dataset[(0, 0)]["image"], before)


def test_the_scale_of_the_data_set_stays_on_the_cpu(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    """Where its worker processes are."""
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8))
    measured(MDDGA(autoencoder, nn.Identity(), Part()), dataset).to("meta")
    assert dataset[(0, 0)]["image"].device.type == "cpu"


def test_latents_may_stay_raw_as_published(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8))
    raw = dataset[(0, 0)]["label"]
    network = measured(MDDGA(autoencoder, nn.Identity(), Part()), dataset, enabled=False)
    assert torch.equal(network.scale.std, torch.ones(3))
    assert torch.equal(dataset[(0, 0)]["label"], raw)


def test_a_scale_may_be_given(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    scale = LatentScale(3)
    scale.mean.fill_(0.5)
    given = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8), scale=scale)
    raw = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8))
    assert_close(given[(0, 0)]["image"], raw[(0, 0)]["image"] - 0.5)


def test_the_cache_spares_encoding_and_changes_nothing(
    records: list[dict[str, str]], autoencoder: VQVAE, tmp_path: Path
) -> None:
    cache, again = str(tmp_path / "cache"), Preprocessing()
    first = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8), cache_dir=cache, cache_key="a")
    cached = LatentPairs(records, again, autoencoder, (8, 8, 8), cache_dir=cache, cache_key="a")
    assert again.calls == 0
    assert torch.equal(first[(1, 4)]["image"], cached[(1, 4)]["image"])
    assert_close(first.latents, cached.latents)


def test_the_cache_notices_other_weights_patches_and_preprocessing(
    records: list[dict[str, str]], autoencoder: VQVAE, tmp_path: Path
) -> None:
    cache = str(tmp_path / "cache")

    def calls(patch: tuple[int, ...] = (8, 8, 8), key: str = "a") -> int:
        preprocessing = Preprocessing()
        LatentPairs(records, preprocessing, autoencoder, patch, cache_dir=cache, cache_key=key)
        return preprocessing.calls

    assert calls() == 2
    assert calls() == 0
    assert calls(patch=(8, 8, 12)) == 2
    assert calls(key="other") == 2
    with torch.no_grad():
        autoencoder.encoder.head.bias.add_(0.1)
    assert calls() == 2


def test_a_cache_without_the_name_of_its_preprocessing_is_refused(
    records: list[dict[str, str]], autoencoder: VQVAE, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="found no cache_key beside it"):
        LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8), cache_dir=str(tmp_path / "cache"))


def test_two_grids_are_refused_by_their_files(records: list[dict[str, str]], autoencoder: VQVAE) -> None:
    def preprocess(sample: dict[str, Any]) -> dict[str, Any]:
        made = Preprocessing()(sample)
        shifted = torch.eye(4)
        shifted[0, 3] = 2
        return made | {"image": MetaTensor(made["image"]), "label": MetaTensor(made["label"], affine=shifted)}

    with pytest.raises(InputError, match=r"a_made\.nii: found another grid than .*a_mr\.nii: origin by 2.00 mm"):
        LatentPairs(records, preprocess, autoencoder, (8, 8, 8))


@pytest.mark.parametrize("patch", [(8, 8), (8, 8, 6), (8, 8, 0), (8, 8, -4), (8.0, 8, 8)])
def test_a_patch_that_latents_cannot_have_is_refused(
    records: list[dict[str, str]], autoencoder: VQVAE, patch: Any
) -> None:
    with pytest.raises(InputError, match=r"LatentPairs, patch: found .*; wanted three positive multiples of 4"):
        LatentPairs(records, Preprocessing(), autoencoder, patch)


@pytest.mark.parametrize("enabled", ["True", 1, None])
def test_whether_to_measure_must_be_a_truth_value(
    records: list[dict[str, str]], autoencoder: VQVAE, enabled: Any
) -> None:
    dataset = LatentPairs(records, Preprocessing(), autoencoder, (8, 8, 8))
    with pytest.raises(InputError, match=r"measured, enabled: found .*; wanted true or false"):
        measured(MDDGA(autoencoder, nn.Identity(), Part()), dataset, enabled=enabled)
