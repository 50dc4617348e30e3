"""Unpaired sampling: independent shuffles, epochs of the longer domain, ranks and resumption."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.transforms import Compose, RandFlipd, RandSpatialCropd
from torch.utils.data import DataLoader

from transmodal.data.unpaired import UnpairedSampler, UnpairedSlices


def transform(sample: dict[str, Any]) -> dict[str, Any]:
    """Volumes (1, 4, 4, n) around a slice number, n = 3 for MR and 8 for CT."""
    depth = {"mr": 3, "ct": 8}[sample["modality"]]
    image = torch.arange(float(depth)).expand(1, 4, 4, depth) + torch.rand(1, 4, 4, 1)
    return {"image": image, "body_image": torch.ones(1, 4, 4, depth)}


@pytest.fixture
def dataset() -> UnpairedSlices:
    data = [{"case": "a", "image": "a.nii"}, {"case": "b", "label": "b.nii"}]
    crop = RandSpatialCropd(["image", "body"], roi_size=(2, 2), random_size=False)
    augmentation = Compose([crop, RandFlipd("image", prob=0.5, spatial_axis=0)])
    return UnpairedSlices(data, transform, {"image": "mr", "label": "ct"}, augmentation)


def test_an_epoch_is_the_longer_domain(dataset: UnpairedSlices) -> None:
    assert dataset.lengths == (3, 8)
    assert len(dataset) == len(UnpairedSampler(dataset)) == len(list(UnpairedSampler(dataset))) == 8


def test_every_slice_of_both_domains_is_seen(dataset: UnpairedSlices) -> None:
    source, target, _ = zip(*UnpairedSampler(dataset), strict=True)
    assert sorted(target) == list(range(8))
    assert sorted(source[:3]) == sorted(source[3:6]) == [0, 1, 2]


def test_domains_are_shuffled_independently(dataset: UnpairedSlices) -> None:
    sampler = UnpairedSampler(dataset)
    partners: dict[int, set[int]] = {}
    for epoch in range(20):
        sampler.set_epoch(epoch)
        for source, target, _ in sampler:
            partners.setdefault(source, set()).add(target)
    assert all(len(met) == 8 for met in partners.values())


def test_epochs_differ_and_repeat_by_number(dataset: UnpairedSlices) -> None:
    sampler = UnpairedSampler(dataset)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_ranks_together_see_what_one_process_sees(dataset: UnpairedSlices) -> None:
    one = list(UnpairedSampler(dataset))
    two = [list(UnpairedSampler(dataset, num_replicas=2, rank=rank)) for rank in (0, 1)]
    assert [two[position % 2][position // 2] for position in range(8)] == one


def test_items_are_pure_functions_of_their_index(dataset: UnpairedSlices) -> None:
    first = dataset[(1, 5, 77)]
    dataset[(0, 0, 3)]
    again = dataset[(1, 5, 77)]
    assert torch.equal(first["image"], again["image"])
    assert torch.equal(first["label"], again["label"])


def test_augmentation_varies_with_the_seed(dataset: UnpairedSlices) -> None:
    crops = {tuple(dataset[(1, 5, seed)]["label"].flatten().tolist()) for seed in range(20)}
    assert len(crops) > 5


def test_worker_processes_change_nothing(dataset: UnpairedSlices) -> None:
    alone, workers = (
        [batch["label"] for batch in DataLoader(dataset, sampler=UnpairedSampler(dataset), batch_size=2, num_workers=n)]
        for n in (0, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(alone, workers, strict=True))


def test_a_batch_carries_the_seed_of_each_draw(dataset: UnpairedSlices) -> None:
    sampler = UnpairedSampler(dataset)
    batches = list(DataLoader(dataset, sampler=sampler, batch_size=4))
    assert all(set(batch) == {"image", "label", "seed"} for batch in batches)
    assert all(batch["seed"].dtype == torch.int64 for batch in batches)
    assert torch.cat([batch["seed"] for batch in batches]).tolist() == [seed for _, _, seed in sampler]


def test_a_plain_loader_works_too(dataset: UnpairedSlices) -> None:
    assert len(list(DataLoader(dataset, batch_size=4))) == 2
