"""The overlays of the training, each from files to weights and on to a CT: in small, two iterations on a phantom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from safetensors import safe_open
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.adapter_files import KIND

from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT, SPLIT, TINY, importable, read
from transmodal.checkpoints import save_weights
from transmodal.data import read_latent
from transmodal.networks.nets import FindingClassifier, VolumeDenseNet121

BUNDLE = ROOT / "bundles" / "chest_xray_ctpa_translation"
ROW = TINY[BUNDLE.name]
VQGAN = {
    "latent_channels": 4,
    "vqgan_channels": 4,
    "vqgan_groups": 4,
    "num_codes": 8,
    "downsample": [2, 2, 2],
    "slab": 2,
    "crop": [8, 16, 16],
    "critic_channels": 2,
    "critic_start": 0,
}
MODERN = {
    "denoiser_net_def#num_channels": [8, 8],
    "denoiser_net_def#attention": [False, True],
    "denoiser_net_def#num_res_blocks": 1,
    "denoiser_net_def#num_head_channels": 4,
    "token_dim": 8,
    "plane_channels": 2,
}


@pytest.fixture(scope="module")
def trained(train_once: Callable[[Path], Trained]) -> Trained:
    return train_once(BUNDLE)


def run(configs: Sequence[str], **ids: Any) -> ConfigWorkflow:
    """What ``python -m monai.bundle run`` does with these configs, one laid over the other, in small."""
    trains = configs[0] == "train"
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / "configs" / f"{name}.json") for name in configs],
        workflow_type="train" if trains else "infer",
        logging_file=False,
        **{"bundle_root": str(BUNDLE), "device": "cpu", **ROW.network, **(ROW.training if trains else {}), **ids},
    )
    with importable(BUNDLE):
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    return workflow


def train(trained: Trained, folder: Path, *overlays: str, **ids: Any) -> dict[str, Tensor]:
    """The weights that a training with overlays leaves in ``folder``."""
    files = {"dataset_dir": str(trained.data), "output_dir": str(folder), "ckpt_path": str(folder / "model.pt")}
    run(["train", *overlays], **{**files, **trained.made, **ids})
    state: dict[str, Tensor] = torch.load(folder / "model.pt", weights_only=True)
    return state


def translate(trained: Trained, weights: Path, folder: Path, *overlays: str, **ids: Any) -> np.ndarray:
    """The CT that inference with overlays makes of the phantom that was trained on."""
    files = {"dataset_dir": str(trained.data), "output_dir": str(folder), "ckpt_path": str(weights)}
    run(["inference", *overlays], **{**files, "datalist": str(trained.output / SPLIT), "section": "training", **ids})
    (path,) = folder.glob("*/ct.nii.gz")
    return read(path)[0]


def losses(folder: Path) -> Mapping[str, Any]:
    """What a training left to go on from."""
    state: dict[str, Any] = torch.load(folder / "resume.pt", weights_only=True)
    return dict(state["state"])


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    return {name for name, value in after.items() if name in before and not torch.equal(value, before[name])}


def test_a_vqgan_takes_the_place_of_the_autoencoder_in_every_stage(trained: Trained, tmp_path: Path) -> None:
    weights = train(trained, tmp_path / "vqgan", "train_autoencoder", "vqgan", **VQGAN)
    assert any("codebook" in name for name in weights)
    assert {"critics", "critic_optimizer"} <= losses(tmp_path / "vqgan").keys()
    made = {"autoencoder_path": str(tmp_path / "vqgan" / "model.pt")}
    whole = train(trained, tmp_path / "whole", "vqgan", **VQGAN, **made)
    assert all(torch.equal(whole[f"autoencoder.{name}"], value) for name, value in weights.items())
    ct = translate(trained, tmp_path / "whole" / "model.pt", tmp_path / "ct", "vqgan", **VQGAN)
    assert ct.shape == ROW.grid


def test_the_modern_denoiser_trains_by_rectified_flow_and_translates(trained: Trained, tmp_path: Path) -> None:
    weights = train(trained, tmp_path / "modern", "modern", **MODERN)
    assert any("null" in name for name in weights)
    ct = translate(trained, tmp_path / "modern" / "model.pt", tmp_path / "ct", "modern", **MODERN)
    assert ct.min() < ct.max()


def test_the_modern_denoiser_trains_by_velocity_too(trained: Trained, tmp_path: Path) -> None:
    weights = train(trained, tmp_path / "velocity", "modern", "velocity", **MODERN)
    assert any(name.startswith("denoiser.network.") and "null" in name for name in weights)
    ct = translate(trained, tmp_path / "velocity" / "model.pt", tmp_path / "ct", "modern", "velocity", **MODERN)
    assert ct.min() < ct.max()


@pytest.mark.parametrize("sizes", ["modern", "small"])
def test_velocity_replaces_what_rectified_flow_sets_and_nothing_else(sizes: str) -> None:
    flow = {"denoiser_def", "diffusion", "sampler", "weight"}
    assert config("velocity").keys() - {"_desc_"} == flow
    assert flow - {"denoiser_def"} <= config(sizes).keys()


@pytest.mark.parametrize("name", ["train", "inference"])
def test_weights_are_told_what_their_latents_are(name: str) -> None:
    ids = {"latent_factor": 0.13025, "grey": [0.2, 0.3, 0.5]}
    task = ConfigParser(config(name) | ids).get_parsed_content("network_def#task")
    assert (task["latents"], task["grey"]) == (0.13025, [0.2, 0.3, 0.5])


def test_results_are_judged_by_what_the_window_of_the_model_allows() -> None:
    with importable(BUNDLE):
        density = ConfigParser(config("inference") | {"window": [-200, 500]}).get_parsed_content("density")
    assert (density.low, density.high) == (-200, 500)
    assert config("inference")["consistency"]["density"] == "@density"
    drawn = [each for each in config("evaluate")["handlers"] if "RadiographFigure" in str(each)]
    assert [each["density"] for each in drawn] == ["@density"]


def test_a_discriminator_of_latents_is_trained_beside_the_denoiser(trained: Trained, tmp_path: Path) -> None:
    weights = train(trained, tmp_path, "adversarial", discriminator_layers=1, adversarial_until=1000)
    assert "discriminator" in losses(tmp_path)
    plain = torch.load(trained.weights, weights_only=True)
    assert weights.keys() == plain.keys()
    assert any(name.startswith("denoiser") for name in moved(plain, weights))


def test_what_a_classifier_sees_in_the_result_is_learnt_from(trained: Trained, tmp_path: Path) -> None:
    classifier = VolumeDenseNet121(3, 4, 1, (1, 2, 2), block_config=(1, 1), init_features=4, growth_rate=4)
    save_weights(
        FindingClassifier(classifier, "embolism in latent, range None").state_dict(), tmp_path / "classifier.pt"
    )
    cases = sorted(path.name for path in trained.data.iterdir())
    (tmp_path / "labels.csv").write_text("\n".join(["case,embolism", *(f"{case},1" for case in cases), ""]))
    small = {"block_config": [1, 1], "init_features": 4, "growth_rate": 4, "dropout": 0.0}
    weights = train(
        trained,
        tmp_path / "out",
        "classification",
        classifier_path=str(tmp_path / "classifier.pt"),
        labels=str(tmp_path / "labels.csv"),
        classification_until=1000,
        classification_weight=10.0,
        **{f"classifier_net_def#{key}": value for key, value in small.items()},
    )
    plain = torch.load(trained.weights, weights_only=True)
    assert any(name.startswith("denoiser") for name in moved(plain, weights))


def test_adapters_are_trained_saved_alone_and_added_in_inference(trained: Trained, tmp_path: Path) -> None:
    files = {"dataset_dir": str(trained.data), "output_dir": str(tmp_path), "base_path": str(trained.weights)}
    adapters = tmp_path / "lora.safetensors"
    run(["train", "lora"], **files, ckpt_path=str(adapters))
    assert adapters.stat().st_size < 0.5 * trained.weights.stat().st_size
    plain = translate(trained, trained.weights, tmp_path / "plain")
    added = translate(trained, trained.weights, tmp_path / "added", "inference_lora", adapters_path=str(adapters))
    assert not np.array_equal(plain, added)


@pytest.mark.parametrize("overlays", [("lora", "adversarial"), ("adversarial", "lora")])
def test_adapters_are_saved_alone_without_a_validation_too(
    trained: Trained, tmp_path: Path, overlays: tuple[str, ...]
) -> None:
    files = {"dataset_dir": str(trained.data), "output_dir": str(tmp_path), "base_path": str(trained.weights)}
    adapters = tmp_path / "lora.safetensors"
    run(["train", *overlays], **files, ckpt_path=str(adapters), **{"val_interval": 0, "discriminator_layers": 1})
    with safe_open(adapters, framework="pt") as content:
        assert content.metadata()["kind"] == KIND
    added = translate(trained, trained.weights, tmp_path / "added", "inference_lora", adapters_path=str(adapters))
    assert added.shape == ROW.grid


@pytest.mark.parametrize(
    ("first", "second"),
    combinations(("lora", "biomedclip", "latents", "classification", "perceptual", "adversarial"), 2),
)
def test_overlays_of_the_training_can_be_given_in_any_order(first: str, second: str) -> None:
    """No id is replaced by both; what is added to, takes all."""
    replaced = [{key for key in config(name) if not key.startswith(("+", "_desc_"))} for name in (first, second)]
    assert replaced[0] & replaced[1] == set()


def config(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((BUNDLE / "configs" / f"{name}.json").read_text(encoding="utf-8"))
    return content


def test_a_missing_classifier_is_to_be_trained_in_its_own_bundle() -> None:
    ids = {"device": "cpu", "latent_channels": 4, "classifier_path": "nowhere.pt"}
    with pytest.raises(RuntimeError) as refused:
        ConfigParser(config("classification") | ids).get_parsed_content("classification_term#classifier")
    assert re.search(r"bundle chest_ctpa_embolism_classification.*configs/latents\.json", innermost(refused.value))


def encode(trained: Trained, weights: Path, folder: Path, **ids: Any) -> dict[str, np.ndarray]:
    """Latents of all cases by the overlay of inference."""
    files = {"dataset_dir": str(trained.data), "output_dir": str(folder), "ckpt_path": str(weights)}
    run(["inference", "inference_latents"], **files, **ids)
    return {path.parent.name: read_latent(path) for path in sorted(folder.glob("*/latent.npy"))}


def test_latents_of_every_case_are_written_by_the_whole_or_the_autoencoder_alone(
    trained: Trained, tmp_path: Path
) -> None:
    found = encode(trained, trained.weights, tmp_path / "whole")
    alone = encode(trained, Path(trained.made["autoencoder_path"]), tmp_path / "alone")
    assert list(found) == [path.name for path in sorted(trained.data.iterdir())]
    assert {latents.shape for latents in found.values()} == {(4, 8, 8, 8)}
    assert all(np.array_equal(found[case], alone[case]) for case in found)


def test_latents_of_a_section_alone_can_be_written(trained: Trained, tmp_path: Path) -> None:
    found = encode(trained, trained.weights, tmp_path, datalist=str(trained.output / SPLIT), section="training")
    assert len(found) == 1


def test_a_training_takes_the_latents_that_inference_wrote_for_those_it_would_make(
    trained: Trained, tmp_path: Path
) -> None:
    encode(trained, trained.weights, tmp_path / "data")
    for case in trained.data.iterdir():
        for name in ("xray.nii.gz", "ct.nii.gz"):
            (tmp_path / "data" / case.name / name).symlink_to(case / name)
    weights = train(trained, tmp_path / "out", "latents", dataset_dir=str(tmp_path / "data"))
    plain = torch.load(trained.weights, weights_only=True)
    assert_close(weights["scale.mean"], plain["scale.mean"])
    assert_close(weights["scale.std"], plain["scale.std"])


def test_latents_of_another_grid_are_refused_before_they_train(trained: Trained, tmp_path: Path) -> None:
    for number, case in enumerate(sorted(trained.data.iterdir())):
        (tmp_path / case.name).mkdir(parents=True)
        for name in ("xray.nii.gz", "ct.nii.gz"):
            (tmp_path / case.name / name).symlink_to(case / name)
        latents = np.random.default_rng(number).normal(size=(4, 16, 8, 8)).astype(np.float32)
        np.save(tmp_path / case.name / "latent.npy", latents)
    with pytest.raises(RuntimeError) as refused:
        train(trained, tmp_path / "out", "latents", dataset_dir=str(tmp_path))
    assert '--grid "[16, 16, 16]"' in innermost(refused.value)


def innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def test_latents_from_files_take_the_place_of_the_ct(trained: Trained, tmp_path: Path) -> None:
    """A case of latents and a radiograph alone; the other one, with its CT, validates."""
    data = tmp_path / "data"
    for number, case in enumerate(sorted(trained.data.iterdir())):
        (data / case.name).mkdir(parents=True)
        for name in ("xray.nii.gz", "ct.nii.gz"):
            (data / case.name / name).symlink_to(case / name)
        latents = np.random.default_rng(number).normal(size=(4, 8, 8, 8)).astype(np.float32)
        np.save(data / case.name / "latent.npy", latents)
    weights = train(trained, tmp_path / "out", "latents", dataset_dir=str(data))
    assert weights["scale.mean"].shape == (4,)
    assert not torch.equal(weights["scale.mean"], torch.load(trained.weights, weights_only=True)["scale.mean"])
