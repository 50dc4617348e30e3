"""What decides each stage, and the record beside the volumes of the slice stage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from mddga_bundle.losses import L1Noise
from mddga_bundle.provenance import SlicesRecord, read_record

from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT, importable, prepared, run
from transmodal.checkpoints import save_weights
from transmodal.errors import InputError
from transmodal.files import sha256_of

BUNDLE = ROOT / "bundles/ct_mr_mddga_translation"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "slices.pt"
    path.write_bytes(b"weights")
    return path


def written(folder: Path, weights: Path, *cases: str, fails: bool = False, **settings: Any) -> None:
    """What a run over these cases leaves."""

    def translate(engine: Engine, batch: Any) -> None:
        if fails:
            raise KeyboardInterrupt

    engine = Engine(translate)
    SlicesRecord(folder, weights, [{"case": case} for case in cases], **settings).attach(engine)
    try:
        engine.run(list(cases))
    except KeyboardInterrupt:
        assert fails


@pytest.mark.parametrize(
    ("config", "own"),
    [
        ("train_autoencoder", {"stage": "autoencoder"}),
        ("train_slices", {"stage": "slices", "planes": [0, 1, 2], "flip": 0.0, "loss": "L1Noise()"}),
        ("train", {"stage": "volume", "joint": True, "raw_latents": False, "slices weights": None}),
    ],
)
def test_each_stage_tells_what_decides_it(config: str, own: dict[str, Any]) -> None:
    parts = {f"{part}_path": "/nowhere" for part in ("autoencoder", "slices")} if config == "train" else {}
    with importable(BUNDLE):
        settings = prepared(BUNDLE, config, **parts).parser.get_parsed_content("settings")
    assert settings.items() >= own.items()
    assert settings.keys() >= {"source", "pixdim", "patch", "seed", "max_grad_norm", "ct", "mr"}
    assert ("joint" in settings, "slices weights" in settings) == (config == "train", config == "train")


def test_the_record_tells_weights_settings_and_cases(tmp_path: Path, weights: Path) -> None:
    written(tmp_path, weights, "b", "a", pixdim=[2, 2, 2], sampler=L1Noise())
    assert json.loads((tmp_path / "slices.json").read_text()) == {
        "weights": sha256_of(weights),
        "pixdim": [2, 2, 2],
        "sampler": "L1Noise()",
        "cases": ["a", "b"],
    }


def test_runs_of_the_same_settings_add_their_cases(tmp_path: Path, weights: Path) -> None:
    written(tmp_path, weights, "a", seed=1)
    written(tmp_path, weights, "b", seed=1)
    assert read_record(tmp_path)["cases"] == ["a", "b"]


def test_a_run_of_other_settings_forgets_the_cases_of_the_one_before(
    tmp_path: Path, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path, weights, "a", seed=1)
    written(tmp_path, weights, "b", seed=2)
    assert read_record(tmp_path) == {"weights": sha256_of(weights), "seed": 2, "cases": ["b"]}
    assert f"{tmp_path} holds volumes of other weights or settings" in caplog.text


def test_an_interrupted_run_of_other_weights_leaves_no_record(tmp_path: Path, weights: Path) -> None:
    written(tmp_path, weights, "a")
    weights.write_bytes(b"trained anew")
    written(tmp_path, weights, "a", fails=True)
    assert read_record(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slices.pt"]


def test_other_processes_than_the_first_write_nothing(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    written(tmp_path, weights, "a")
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_what_is_no_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "slices.json").write_text(content)
    assert read_record(tmp_path) is None


@pytest.fixture
def refusal(train_once: Callable[[Path], Trained], tmp_path: Path) -> Callable[..., InputError]:
    """What a last stage says that is started over the state of an earlier one, or over what others made for it."""
    trained = train_once(BUNDLE)
    output = shutil.copytree(trained.output, tmp_path / "output")

    def refused(**ids: Any) -> InputError:
        files = {"dataset_dir": str(trained.data), "ckpt_path": str(tmp_path / "model.pt"), **trained.made}
        with pytest.raises(RuntimeError) as told:
            run(BUNDLE, "train", **{**files, "output_dir": str(output), **ids})
        error: BaseException = told.value
        while not isinstance(error, InputError):
            assert error.__cause__ is not None
            error = error.__cause__
        return error

    return refused


def test_a_training_of_another_autoencoder_is_not_resumed(
    refusal: Callable[..., InputError], train_once: Callable[[Path], Trained], tmp_path: Path
) -> None:
    state = torch.load(train_once(BUNDLE).made["autoencoder_path"], weights_only=True)
    save_weights({key: value * 2 for key, value in state.items()}, tmp_path / "another.pt")
    error = refusal(autoencoder_path=str(tmp_path / "another.pt"))
    assert error.where.endswith("resume.pt")
    assert "a training with autoencoder weights " in error.found
    assert "slices weights" not in error.found


def test_raw_latents_do_not_resume_normalised_ones(refusal: Callable[..., InputError]) -> None:
    assert "raw_latents False where it now is True" in refusal(raw_latents=True).found


def test_volumes_of_another_slice_net_are_refused(
    refusal: Callable[..., InputError], train_once: Callable[[Path], Trained], tmp_path: Path
) -> None:
    state = torch.load(train_once(BUNDLE).made["slices_path"], weights_only=True)
    save_weights({key: value * 1.01 for key, value in state.items()}, tmp_path / "another.pt")
    error = refusal(slices_path=str(tmp_path / "another.pt"))
    assert error.where.endswith("slices.json")
    assert "other weights than" in error.found


def test_the_true_images_are_refused_as_conditions(
    refusal: Callable[..., InputError], train_once: Callable[[Path], Trained]
) -> None:
    assert "the true image of the case" in refusal(slices_dir=str(train_once(BUNDLE).data)).found
