"""What is offered, and why not; in this process."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from transmodal.errors import InputError
from webpage.catalogue import bundles_in, offers

NAME = "ct_mr_syndiff_translation"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    with warnings.catch_warnings():
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def bundle(tiny_bundles: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(tiny_bundles / NAME, tmp_path / "bundles" / NAME))


def test_a_bundle_and_a_folder_of_bundles_may_be_named(tiny_bundles: Path) -> None:
    assert bundles_in([tiny_bundles / NAME]) == [tiny_bundles / NAME]
    assert len(bundles_in([tiny_bundles, tiny_bundles / NAME])) == 3


@pytest.mark.parametrize(("name", "found"), [("missing", "no such folder"), (".", "no bundle")])
def test_a_folder_without_bundles_is_told(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(InputError, match=f"found {found}; wanted a bundle, or a folder with bundles"):
        bundles_in([tmp_path / name])


def test_a_bundle_tells_directions_and_options_with_their_defaults(bundle: Path) -> None:
    (offer,) = offers([str(bundle)], "cpu")
    assert offer["ready"]
    assert {(each["source"], each["target"]) for each in offer["directions"]} == {("ct", "mr"), ("mr", "ct")}
    assert {option["id"]: option["default"] for option in offer["options"]} == {"seed": 0, "num_samples": 1}
    assert "Research only" in offer["research_only"]


def test_a_bundle_without_weights_says_so(bundle: Path) -> None:
    (bundle / "models" / "model.pt").unlink()
    (offer,) = offers([str(bundle)], "cpu")
    assert not offer["ready"]
    assert offer["why_not"].startswith("it has no weights yet")


def test_weights_of_another_network_are_told_before_any_job(bundle: Path) -> None:
    config = bundle / "configs" / "inference.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**content, "channels": 8}), encoding="utf-8")
    (offer,) = offers([str(bundle)], "cpu")
    assert not offer["ready"]
    assert "model.pt" in offer["why_not"]
    assert "\n" not in offer["why_not"]


def test_of_two_bundles_of_one_name_the_one_that_is_ready_is_offered(bundle: Path, tiny_bundles: Path) -> None:
    (bundle / "models" / "model.pt").unlink()
    (offer,) = offers([str(bundle), str(tiny_bundles / NAME)], "cpu")
    assert offer["ready"]
    assert offer["path"] == str(tiny_bundles / NAME)


def test_bundles_that_make_no_image_are_not_offered(root: Path) -> None:
    classifier = root / "bundles" / "ct_mr_modality_classification"
    assert offers([str(classifier)], "cpu") == []
