"""Overlays in the configs of a copy, and what its metadata and card then tell."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest

from contract import Bundle
from packing.folding import laid_over
from transmodal.errors import InputError

MUDIFF = "These weights make FLAIR of T1 with contrast agent, T1 and T2, and nothing else."
DOMAINS = "These weights translate between CT, T1 and T2, and nothing else."


@pytest.fixture
def stargan(root: Path) -> Bundle:
    return Bundle(root / "bundles" / "ct_mr_stargan_translation")


@pytest.fixture
def mudiff(root: Path) -> Bundle:
    return Bundle(root / "bundles" / "brain_mri_mudiff_synthesis")


def test_an_overlay_of_other_domains_is_folded_in_with_the_ids_that_it_makes(stargan: Bundle) -> None:
    overlay = stargan.read("ct_t1_t2")
    with laid_over(stargan, [Path("configs/ct_t1_t2.json")], weights=False) as laid:
        inference, evaluate = laid.read("inference"), laid.read("evaluate")
    assert [inference[key] for key in ("domains", "intensity", "relative")] == [
        overlay[key] for key in ("domains", "intensity", "relative")
    ]
    assert evaluate["baselines"] == overlay["baselines"]
    assert evaluate["references"] == overlay["references"]
    assert "references" not in inference


def test_the_metadata_tell_the_directions_between_other_domains(stargan: Bundle) -> None:
    with laid_over(stargan, [Path("configs/ct_t1_t2.json")], weights=True) as laid:
        metadata, card = laid.metadata, (laid.root / "docs" / "README.md").read_text(encoding="utf-8")
    listed = metadata["translation"]["directions"]
    assert listed[0][0] == "t1"
    assert sorted(map(tuple, listed)) == sorted(permutations(("ct", "t1", "t2"), 2))
    assert metadata["translation"]["intensity"].keys() == {"ct", "t1", "t2"}
    assert DOMAINS in metadata["description"]
    assert DOMAINS in card.splitlines()[2]


def test_weights_of_one_contrast_are_told_wherever_a_reader_looks(mudiff: Bundle, tmp_path: Path) -> None:
    (tmp_path / "target.json").write_text('{"target": "flair"}', encoding="utf-8")
    with laid_over(mudiff, [tmp_path / "target.json"], weights=True) as laid:
        assert laid.metadata["translation"]["directions"] == [["t1ce", "t1", "t2", "flair"]]
        assert laid.metadata["description"].endswith(MUDIFF)
        assert (laid.root / "docs" / "README.md").read_text(encoding="utf-8").count(MUDIFF) == 1


def test_weights_of_the_default_contrast_are_told_as_well(mudiff: Bundle) -> None:
    with laid_over(mudiff, [], weights=True) as laid:
        assert "These weights make T1 with contrast agent of FLAIR, T2 and T1" in laid.metadata["description"]


def test_code_alone_tells_nothing_of_weights(mudiff: Bundle) -> None:
    with laid_over(mudiff, [], weights=False) as laid:
        assert laid is mudiff


def test_the_bundle_itself_stays_as_it_is(mudiff: Bundle) -> None:
    before = {path: path.read_bytes() for path in mudiff.files()}
    with laid_over(mudiff, [], weights=True):
        pass
    assert {path: path.read_bytes() for path in mudiff.files()} == before


def test_a_new_id_that_nothing_refers_to_is_refused(stargan: Bundle, tmp_path: Path) -> None:
    overlay = {"domains": "@listed", "listed": ["ct", "t1"], "list": ["ct", "t2"]}
    (tmp_path / "odd.json").write_text(json.dumps(overlay), encoding="utf-8")
    with (
        pytest.raises(InputError, match="found ids that no config has: list; "),
        laid_over(stargan, [tmp_path / "odd.json"], weights=False),
    ):
        pass
