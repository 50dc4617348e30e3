"""Samples of several domains: every image has another domain as its target; draws depend on seed and epoch alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import torch
from monai.transforms import Compose, RandFlipd
from torch import Tensor

from transmodal.data import DomainSampler, DomainSlices, domain_keys, with_masks
from transmodal.errors import InputError

KEYS = {"image": "t1", "label": "ct", "t2": "t2"}
DOMAINS = ("ct", "t1", "t2")
LEVEL = {"ct": 0.25, "t1": 0.5, "t2": 0.75}
SLICES = {"ct": 3, "t1": 2, "t2": 5}


def prepared(sample: dict[str, Any]) -> dict[str, Any]:
    """A volume whose values tell its modality; the body is its left half."""
    level, depth = LEVEL[sample["modality"]], SLICES[sample["modality"]]
    body = torch.zeros(1, 6, 4, depth)
    body[:, :3] = 1
    return {"image": level * body + torch.arange(depth) / 100, "body_image": body}


def make(augmentation: Compose | None = None, **options: Any) -> DomainSlices:
    data = [{"case": "p1", "image": "1/t1.nii", "label": "1/ct.nii"}, {"case": "p2", "t2": "2/t2.nii"}]
    return DomainSlices(data, prepared, keys=KEYS, domains=DOMAINS, augmentation=augmentation, **options)


def epoch(dataset: DomainSlices, number: int, **ranks: int) -> list[tuple[int, ...]]:
    sampler = DomainSampler(dataset, seed=3, **ranks)
    sampler.set_epoch(number)
    return list(sampler)


def test_an_item_shows_the_domain_that_it_names() -> None:
    dataset = make()
    for name, number in zip(DOMAINS, range(3), strict=True):
        item = dataset[(number, 1, (number + 1) % 3, 7)]
        assert item["domain"] == number
        torch.testing.assert_close(item["image"][0, 0, 0], torch.tensor(LEVEL[name] + 0.01))


def test_the_body_moves_with_the_image() -> None:
    item = make(Compose([RandFlipd(["image", "body"], prob=1.0, spatial_axis=0)]))[(0, 0, 1, 7)]
    body: Tensor = item["body"]
    assert body[:, 3:].all()
    assert not body[:, :3].any()
    assert torch.equal(item["image"] > 0.2, body > 0)


def test_no_target_is_the_domain_itself_and_all_others_occur() -> None:
    dataset = make()
    draws = [draw for number in range(20) for draw in epoch(dataset, number)]
    pairs = Counter((domain, target) for domain, _, target, _ in draws)
    assert set(pairs) == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_with_two_domains_the_target_is_forced() -> None:
    dataset = make()
    dataset.domains = dataset.domains[:2]
    assert {(domain, target) for domain, _, target, _ in epoch(dataset, 0)} == {(0, 1), (1, 0)}


def test_an_epoch_has_as_many_slices_of_each_domain_and_every_slice_of_the_longest() -> None:
    draws = epoch(make(), 0)
    assert Counter(domain for domain, *_ in draws) == {0: 5, 1: 5, 2: 5}
    assert {number for domain, number, *_ in draws if domain == 2} == set(range(5))


def test_processes_share_what_one_would_see() -> None:
    dataset = make()
    alone, first, second = (epoch(dataset, 4, num_replicas=n, rank=r) for n, r in ((1, 0), (2, 0), (2, 1)))
    together = [draw for pair in zip(first, second, strict=True) for draw in pair]
    assert together[: len(alone)] == alone


def test_epochs_differ_and_return() -> None:
    dataset = make()
    assert epoch(dataset, 0) != epoch(dataset, 1)
    assert epoch(dataset, 1) == epoch(dataset, 1)


def test_a_plain_loader_meets_every_domain_and_never_its_own_target() -> None:
    dataset = make()
    items = [dataset[number] for number in range(15)]
    assert {item["domain"] for item in items} == {0, 1, 2}
    assert all(item["domain"] != item["target"] for item in items)


def test_domains_are_checked_with_their_volumes() -> None:
    def refuse(data: Any, keys: Any, volumes: Any) -> None:
        assert keys == KEYS
        raise ValueError({name: len(each) for name, each in volumes.items()})

    with pytest.raises(ValueError, match=re.escape("{'ct': 1, 't1': 1, 't2': 1}")):
        make(check=refuse)


def test_keys_are_a_direction_and_further_domains() -> None:
    assert domain_keys(["ct", "t1", "t2"], source="t1", target="ct") == KEYS


def test_masks_of_files_belong_to_every_key() -> None:
    keys = {"image": "mr", "label": "ct"}
    assert with_masks(keys, "mask") == {**keys, "body_image": "mask", "body_label": "mask"}
    assert with_masks(keys) == keys


@pytest.mark.parametrize("domains", [["ct"], ["ct", "ct"], [], "ct"])
def test_one_domain_cannot_be_translated(domains: Any) -> None:
    with pytest.raises(InputError, match="at least two different modalities"):
        domain_keys(domains, source="ct", target="mr")


@pytest.mark.parametrize(("source", "target"), [("ct", "ct"), ("pet", "ct"), ("ct", "pet")])
def test_a_direction_leads_from_one_domain_to_another(source: str, target: str) -> None:
    with pytest.raises(InputError, match="two different ones of the domains ct, mr"):
        domain_keys(["ct", "mr"], source=source, target=target)
