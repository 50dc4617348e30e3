"""A bundle as it is released: what its files then say."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract import STATIC, Bundle, run_checks
from format_json import load
from releasing.staging import staged
from releasing.weights import released
from tests.packaging.tiny import NAME
from tests.tools.releasing.house import write_record
from transmodal.errors import InputError

House = tuple[Bundle, Path]


def test_its_scores_stand_in_the_metadata_with_their_evidence(house: House) -> None:
    bundle, weights = house
    with staged(bundle, released(weights)[NAME]) as (copy, _):
        assert copy.metadata["eval_metrics"] == {"ct_to_mr": {"model": {"mae": 12.5}}}
        assert [finding for finding in run_checks(copy, STATIC) if finding.status == "FAIL"] == []
        statuses = {finding.check: finding.status for finding in run_checks(copy, STATIC)}
        assert statuses["scores have a record"] == "ok"


def test_what_they_were_trained_on_stands_in_the_metadata(house: House) -> None:
    bundle, weights = house
    with staged(bundle, released(weights)[NAME]) as (copy, _):
        assert copy.metadata["data_source"] == "phantoms of thighs"


def test_without_an_evaluation_no_score_is_claimed(house: House) -> None:
    bundle, weights = house
    write_record(weights / NAME, eval_metrics={"mae": None})
    with staged(bundle, released(weights)[NAME]) as (copy, _):
        assert copy.metadata["eval_metrics"] == {}
        assert [finding for finding in run_checks(copy, STATIC) if finding.status == "FAIL"] == []


def test_the_licence_of_the_training_data_is_told(house: House) -> None:
    bundle, weights = house
    path = bundle.root / "docs" / "data_license.txt"
    path.write_text("No weight is shipped with this bundle. The figures show nobody.\n")
    with staged(bundle, released(weights)[NAME]) as (copy, _):
        text = (copy.root / "docs" / "data_license.txt").read_text()
    assert text.startswith("The figures show nobody.\n\nThe weights models/model.pt come with it.")
    for told in ("phantoms of thighs", "CC BY 4.0", "A. Author"):
        assert told in text


def test_what_the_weights_need_is_laid_over_in_order(house: House) -> None:
    bundle, weights = house
    (bundle.configs / "small.json").write_text('{"source": "mr"}')
    write_record(weights / NAME, overlays=["configs/small.json"], values={"source": "ct"})
    with staged(bundle, released(weights)[NAME]) as (copy, overlays):
        assert [load(path) for path in overlays] == [{"source": "mr"}, {"source": "ct"}]
        assert overlays[0] == copy.configs / "small.json"


def test_the_bundle_itself_stays_as_it_is_and_the_copy_is_gone_afterwards(house: House) -> None:
    bundle, weights = house
    before = {path: path.read_bytes() for path in bundle.files()}
    with staged(bundle, released(weights)[NAME]) as (copy, _):
        assert copy.root != bundle.root
    assert {path: path.read_bytes() for path in bundle.files()} == before
    assert not copy.root.exists()


def test_weights_of_another_version_are_refused(house: House) -> None:
    bundle, weights = house
    write_record(weights / NAME, version="0.2.0")
    with (
        pytest.raises(InputError, match=r"weights\.json: found version 0\.2\.0; wanted 0\.1\.0"),
        staged(bundle, released(weights)[NAME]),
    ):
        pass


def test_what_released_weights_make_is_told_in_metadata_and_card(root: Path) -> None:
    bundle = Bundle(root / "bundles" / "brain_mri_mudiff_synthesis")
    with staged(bundle, released(root / "weights")[bundle.name]) as (copy, _):
        sentence = "These weights make FLAIR of T1 with contrast agent, T1 and T2, and nothing else."
        assert copy.metadata["description"].endswith(sentence)
        assert sentence in (copy.root / "docs" / "README.md").read_text(encoding="utf-8")
