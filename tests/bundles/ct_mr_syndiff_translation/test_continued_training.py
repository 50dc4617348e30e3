"""A published training taken over by the tool, and trained on by the bundle as a user would."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import fire
import pytest
import torch
from monai.bundle import ConfigWorkflow

from import_weights import continue_training, main
from tests.bundles.tiny import importable
from tests.parity.syndiff_training import PublishedTraining
from transmodal.errors import InputError
from transmodal.phantom import write_phantoms


@pytest.fixture(scope="module")
def home(root: Path) -> Path:
    return root / "bundles/ct_mr_syndiff_translation"


@pytest.fixture(scope="module")
def taken_over(home: Path, training: PublishedTraining, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder with what the tool wrote, and its report."""
    folder = tmp_path_factory.mktemp("taken_over")
    return folder / "output", continue_training(home, training.save(folder / "content.pth"), folder / "output")


def test_the_file_to_resume_from_and_its_settings_are_written(taken_over: tuple[Path, str]) -> None:
    output, report = taken_over
    assert sorted(path.name for path in output.iterdir()) == ["continue.json", "resume.pt"]
    overlay = json.loads((output / "continue.json").read_text())
    assert (overlay["channels"], overlay["generator_rate"], overlay["output_dir"]) == (16, 2e-4, str(output))
    assert f"wrote {output / 'resume.pt'} and {output / 'continue.json'}" in report


def test_the_printed_command_names_the_configs_in_order(taken_over: tuple[Path, str]) -> None:
    output, report = taken_over
    command = shlex.split(next(line for line in report.splitlines() if "monai.bundle run" in line))
    assert command[4:] == ["--config_file", f"['configs/train.json','{output / 'continue.json'}']"]


def test_the_bundle_trains_on_from_the_published_epoch(
    taken_over: tuple[Path, str], home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output, _ = taken_over
    write_phantoms(tmp_path / "data", cases=2, shape=(24, 26, 2), modalities=("ct", "mr", "mask"))
    workflow = ConfigWorkflow(
        config_file=[str(home / "configs/train.json"), str(output / "continue.json")],
        workflow_type="train",
        logging_file=False,
        **_small(home, tmp_path),
    )
    with importable(home), caplog.at_level("INFO", logger="transmodal"):
        workflow.initialize()
        workflow.run()
        trainer = workflow.parser.get_parsed_content("train#trainer")
        calls = workflow.parser.get_parsed_content("objective").state_dict()["calls"]
    assert "training resumes after epoch 2" in caplog.text
    assert trainer.state.epoch == 3
    assert calls == 4 + trainer.state.epoch_length
    assert torch.load(output / "resume.pt", weights_only=True)["epoch"] == 3


def test_existing_files_stay_unless_forced(home: Path, training: PublishedTraining, tmp_path: Path) -> None:
    file = training.save(tmp_path / "content.pth")
    (tmp_path / "output").mkdir()
    (tmp_path / "output/resume.pt").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"resume.pt: found a file; wanted a new one(.|\n)*--force"):
        continue_training(home, file, tmp_path / "output")
    assert [path.read_bytes() for path in (tmp_path / "output").iterdir()] == [b"precious"]


def test_a_file_that_does_not_match_whole_leaves_nothing(
    home: Path, training: PublishedTraining, tmp_path: Path
) -> None:
    content = training.content()
    content["disc_diffusive_2_dict"]["module.more"] = torch.ones(1)
    content["optimizer_disc_diffusive_2"]["param_groups"][0]["params"].append(52)
    torch.save(content, tmp_path / "content.pth")
    with pytest.raises(InputError, match=r"content.pth, disc_diffusive_2: found 1 unknown \(more\)"):
        continue_training(home, tmp_path / "content.pth", tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_a_bundle_that_continues_no_trainings_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no cyclegan_bundle/continuing.py(.|\n)*import weights alone"):
        continue_training(root / "bundles/ct_mr_cyclegan_translation", tmp_path / "content.pth", tmp_path)


def test_the_command_line_takes_a_training_over(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"content.pth: found no such file"):
        fire.Fire(main, [str(home), "--training", str(tmp_path / "content.pth"), "--output", str(tmp_path)])


@pytest.mark.parametrize("arguments", [["--training", "content.pth"], ["first=a.pth", "--training=b", "--output=c"]])
def test_a_training_without_a_folder_or_with_other_files_is_refused(home: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="wanted --training FILE --output DIR alone"):
        fire.Fire(main, [str(home), *arguments])


def _small(home: Path, folder: Path) -> dict[str, Any]:
    return {
        "bundle_root": str(home),
        "dataset_dir": str(folder / "data"),
        "ckpt_path": str(folder / "models/model.pt"),
        "device": "cpu",
        "pixdim": [6.0, 6.0, -1.0],
        "max_epochs": 3,
        "val_interval": 0,
    }
