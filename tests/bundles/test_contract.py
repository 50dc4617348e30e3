"""What bundles promise to those who run them: MONAI's verifiers on the parts themselves, and configs that fit together.

The promises that can be read off each file alone are checked in tests/tools/test_verify.py, for every bundle.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn

from contract import RUNNING, Bundle, Check, run_checks
from contract.configs import IDS, SHARED_IDS
from contract.running import SCHEMA
from releasing.direction import SCALES
from tests.bundles.conftest import Trained
from tests.bundles.row import Direction
from tests.bundles.tiny import BUNDLES, TINY, importable, of_every_direction

CONFIGS = [(path, name) for path in BUNDLES for name in Bundle(path).config_names()]
STAGES = ("evaluate", "multi_gpu_train", "train_")


def of_training_alone(path: Path, name: str) -> bool:
    """Whether an overlay changes the training and nothing that inference has."""
    return any(key.lstrip("+").startswith(("train#", "validate#", "settings#")) for key in Bundle(path).read(name))


OF_BOTH = [
    (path, name)
    for path, name in CONFIGS
    if Bundle(path).base_of(name) == "train" and not name.startswith(STAGES) and not of_training_alone(path, name)
]
IN_SMALL = {
    "properties_of_training": "train",
    "properties_of_inference": "inference",
    "properties_of_evaluation": "evaluate",
    "ckpt_export": "inference",
    "declared_outputs": "inference",
}
"""Checks that make parts of a config and need not make them as large as they are published."""
WRITTEN_BY_RUNS = {
    "split.json",
    "dataset.json",
    "summary.json",
    "trained_range.json",
    "calibration.json",
    "modality.json",
    "slices.json",
    "comparison.json",
    "memorisation.json",
}
READ_FROM_OUTSIDE = {"_desc_", "imports", "finalize", *SHARED_IDS, *(key for keys in IDS.values() for key in keys)}


def named(value: Any) -> str:
    return value.name if isinstance(value, Path) else str(value)


def text_of(bundle: Path, config: str) -> dict[str, Any]:
    return json.loads((bundle / "configs" / f"{config}.json").read_text(encoding="utf-8"))


def test_every_bundle_has_a_row_of_tiny_overrides() -> None:
    assert sorted(TINY) == [path.name for path in BUNDLES]


def test_the_overlay_that_shares_cases_between_processes_is_one_text() -> None:
    texts = [(path / "configs" / "multi_gpu_inference.json").read_text(encoding="utf-8") for path in BUNDLES]
    assert texts == texts[:1] * len(BUNDLES)


@pytest.mark.parametrize("bundle", BUNDLES, ids=named)
def test_several_processes_draw_as_one_does(bundle: Path) -> None:
    """The overlay joins the group, and leaves the seed to the config below."""
    one, several = (Bundle(bundle).stack(name) for name in ("inference", "multi_gpu_inference"))
    parser = ConfigParser()
    parser.read_config(several)
    below = ConfigParser.load_config_files(one)["initialize"]
    assert parser["initialize"] == [*below, "$idist.initialize(@backend)"]


@pytest.mark.parametrize("check", RUNNING, ids=lambda check: check.__name__)
def test_the_parts_of_every_bundle_keep_their_promises(check: Check, trained: Trained) -> None:
    """On phantoms; the check of models/model.pt may be skipped, since weights are not tracked, and one of TorchScript
    where a row says that the network cannot be had in it."""
    config = IN_SMALL.get(check.__name__)
    ids = TINY[trained.bundle.name].ids_of(config) if config else {}
    (finding,) = run_checks(Bundle(trained.bundle, schema=SCHEMA, data=trained.data, ids=ids), [check])
    may_be_skipped = {"weights"} if TINY[trained.bundle.name].scriptable else {"weights", "ckpt_export"}
    assert finding.status == "ok" or (finding.status == "skipped" and check.__name__ in may_be_skipped), finding


def test_the_image_is_the_first_parameter_of_the_network(bundle: Path) -> None:
    network = network_def(bundle, "inference", **TINY[bundle.name].network)
    assert next(iter(inspect.signature(network.forward).parameters)) == "image"


@pytest.mark.parametrize(("bundle", "config"), CONFIGS, ids=named)
def test_no_id_of_a_config_is_without_use(bundle: Path, config: str) -> None:
    """An id that nothing refers to is a slip of the pen: an overlay with it changes nothing."""
    overlay = text_of(bundle, config)
    below = [text_of(bundle, name) for name in below_of(bundle, config)]
    above = [text_of(bundle, name) for path, name in CONFIGS if path == bundle and config in below_of(path, name)]
    used = set(re.findall(r"[@%]([A-Za-z_]\w*)", json.dumps([overlay, *below, *above]))) | READ_FROM_OUTSIDE
    used |= {key for each in below for key in each}
    assert [key for key in overlay if key.lstrip("+").partition("#")[0] not in used] == []


def below_of(bundle: Path, config: str) -> set[str]:
    """Configs that one is laid over: those its name tells; one of sizes also over stages, inference and evaluation."""
    view = Bundle(bundle)
    stack = {Path(path).stem for path in view.stack(config)}
    sizes = view.base_of(config) == "train" and not config.startswith(STAGES)
    return (stack | ({"inference", "evaluate", *view.stages} if sizes else set())) - {config}


def test_metadata_tells_the_intensities_of_the_config(bundle: Path) -> None:
    """In the words that a release has for them; a radiograph's scale has none."""
    parser = ConfigParser(text_of(bundle, "inference"))
    for name, words in text_of(bundle, "metadata").get("translation", {}).get("intensity", {}).items():
        place = f"intensity#{name}"
        place = parser[place][1:] if isinstance(parser[place], str) else place  # several share one
        kind, *arguments = parser[place]
        if form := SCALES.get(parser[place][kind].rpartition(".")[2]):
            assert words == form.format_map({key: parser.get_parsed_content(f"{place}#{key}") for key in arguments})


def test_a_model_card_names_only_configs_that_there_are(bundle: Path) -> None:
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    named_files = set(re.findall(r"`(?:configs/|docs/)?([A-Za-z0-9_]+\.json)`", card)) - WRITTEN_BY_RUNS
    there = {path.name for folder in ("configs", "docs") for path in (bundle / folder).glob("*.json")}
    assert sorted(named_files - there) == []


@pytest.mark.parametrize(("bundle", "overlay"), OF_BOTH, ids=named)
def test_an_overlay_of_training_makes_the_same_network_in_inference(bundle: Path, overlay: str) -> None:
    with torch.device("meta"):  # shapes alone
        trained, loaded = (network_def(bundle, name, overlay).state_dict() for name in ("train", "inference"))
    assert {name: value.shape for name, value in trained.items()} == {
        name: value.shape for name, value in loaded.items()
    }


@pytest.mark.parametrize(("bundle", "direction"), of_every_direction(), ids=named)
def test_training_and_inference_prepare_a_case_alike(
    bundle: Path, direction: Direction, train_once: Callable[[Path], Trained]
) -> None:
    """The text is compared elsewhere; here what it makes, where an id that it refers to could still differ."""
    case = next(train_once(bundle).data.iterdir())
    paths = [str(case / f"{source}.nii.gz") for source in direction.sources]
    record = {"image": paths[0] if len(paths) == 1 else paths, "case": case.name}
    ids = {**TINY[bundle.name].network, **direction.ids}
    first, second = (part(bundle, [name], "preprocessing", **ids)(record)["image"] for name in ("train", "inference"))
    assert torch.equal(first.as_tensor(), second.as_tensor())


def network_def(bundle: Path, *configs: str, **ids: Any) -> nn.Module:
    return part(bundle, configs, "network_def", **ids)


def part(bundle: Path, configs: Sequence[str], key: str, **ids: Any) -> Any:
    """What one id of some configs, each laid over the one before, makes."""
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / f"{name}.json") for name in configs])
    parser.update(ids)
    with importable(bundle):
        return parser.get_parsed_content(key)
