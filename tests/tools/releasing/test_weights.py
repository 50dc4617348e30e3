"""Released weights as others read them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from contract import Bundle
from importing.layers import Layers
from releasing.weights import FOLDER, Released, problems_of, released, released_beside
from tests.packaging.tiny import NAME
from tests.tools.releasing.house import record_of, write_record
from translating.model import Model
from transmodal.errors import InputError

LARGEST = 25_000_000
House = tuple[Bundle, Path]


@pytest.fixture
def one(house: House) -> Released:
    return released(house[1])[NAME]


def test_where_there_is_no_folder_nothing_is_released(tmp_path: Path) -> None:
    assert released(tmp_path / "absent") == {}


def test_the_record_is_read_by_the_name_of_the_bundle(one: Released, house: House) -> None:
    assert (one.name, one.version, one.file) == (NAME, "0.1.0", house[1] / NAME / "model.pt")
    assert one.overlays == ()
    assert one.values == {"gains": {"ct": 1.5, "mr": 2.5}, "source": "ct"}


def test_scores_that_were_not_measured_are_left_out(one: Released) -> None:
    assert one.eval_metrics == {"ct_to_mr": {"model": {"mae": 12.5}}}


def test_options_of_a_run_come_back_as_the_values_they_were(one: Released) -> None:
    options = one.arguments()
    assert options[::2] == ["--gains", "--source"]
    assert ast.literal_eval(options[1]) == one.values["gains"]
    assert options[3] == "ct"


def test_the_overlays_come_after_the_configs(house: House) -> None:
    write_record(house[1] / NAME, overlays=["configs/a.json", "configs/b.json"])
    config = released(house[1])[NAME].config("inference", "evaluate")
    assert config == "['configs/inference.json','configs/evaluate.json','configs/a.json','configs/b.json']"


def test_weights_are_compared_with_their_record(one: Released) -> None:
    assert one.checked() == one.file
    one.file.write_bytes(b"other")
    with pytest.raises(
        InputError, match=r"model\.pt: found sha256 [0-9a-f]{64}; wanted the weights that weights\.json"
    ):
        one.checked()
    one.file.unlink()
    with pytest.raises(InputError, match=r"model\.pt: found no such file"):
        one.checked()


def test_weights_belong_to_the_bundle_of_their_own_checkout(house: House, tmp_path: Path) -> None:
    bundle, weights = house
    assert released_beside(bundle.root) == released(weights)[NAME]
    elsewhere = tmp_path / "elsewhere" / NAME
    bundle.root.rename(tmp_path / NAME)
    assert released_beside(tmp_path / NAME) is None
    assert released_beside(elsewhere) is None


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("sha256", "abc", "sha256: 'abc' does not match"),
        ("size", LARGEST + 1, "size: 25000001 is greater than the maximum"),
        ("version", "10.0.0", "version: '10.0.0' does not match"),
        ("overlays", ["../small.json"], r"overlays\.0: .* does not match"),
        ("values", {"_desc_": 1}, "values: '_desc_' does not match"),
        ("eval_metrics", {"mae": "low"}, r"eval_metrics\.mae: 'low' is not valid"),
        ("evaluation", {"command": "c"}, "evaluation: .* is not valid"),
        ("training", {}, "training: 'command' is a required property"),
        ("limits", "", "limits: '' should be non-empty"),
        ("score", 1, "the record: Additional properties are not allowed"),
        ("intended_use", None, "the record: 'intended_use' is a required property"),
        ("bundle", "ct_mr_other_translation", "bundle 'ct_mr_other_translation' in folder 'ct_mr_tiny_translation'"),
    ],
)
def test_a_record_that_does_not_say_what_it_must_is_refused(house: House, field: str, value: object, told: str) -> None:
    write_record(house[1] / NAME, **{field: value})
    with pytest.raises(InputError, match=rf"weights\.json: found .*{told}"):
        released(house[1])


def test_a_record_that_is_no_json_is_refused(house: House) -> None:
    (house[1] / NAME / "weights.json").write_text("{")
    with pytest.raises(InputError, match=r"weights\.json: found no JSON"):
        released(house[1])


def test_weights_without_scores_are_a_whole_record(house: House) -> None:
    record = record_of(house[1] / NAME / "model.pt")
    training = {**record["training"], "minutes": None, "commit": None}
    assert problems_of({**record, "eval_metrics": {}, "evaluation": None, "training": training}) == []


@pytest.mark.parametrize("name", sorted(path.parent.name for path in FOLDER.glob("*/weights.json")))
def test_what_this_checkout_releases_is_whole_fits_its_bundle_and_is_small(name: str, root: Path) -> None:
    weights = released()[name]
    bundle = Bundle(root / "bundles" / name)
    assert weights.checked().stat().st_size == weights.record["size"] <= LARGEST
    assert weights.version == bundle.metadata["version"]
    layers = Layers(bundle, tuple(bundle.root / overlay for overlay in weights.overlays), weights.values)
    layers.check_ids()
    Model(layers, weights.file).check()
    text = json.dumps(weights.record)
    assert not [word for word in ("/home/", "/tmp/", "/root/") if word in text]


@pytest.mark.parametrize("name", sorted(path.parent.name for path in FOLDER.glob("*/weights.json")))
def test_what_this_checkout_releases_has_one_number_for_each_measure(name: str) -> None:
    assert [where for where in _scores(released()[name].record["eval_metrics"]) if {"mean", "median"} & {*where}] == []


def _scores(content: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of each number."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _scores(value, (*above, key))
        else:
            assert isinstance(value, int | float), (*above, key)
            yield (*above, key)
