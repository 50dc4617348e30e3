"""The program translate: many cases, one list at the end, an exit status."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import fire
import numpy as np
import pydicom
import pytest

import translate
from contract.bundle import Bundle
from importing.layers import Layers
from tests.bundles.tiny import TINY
from tests.packaging.tiny import shrink
from tests.parity.fill import fill
from tests.tools.releasing.house import record_of
from tests.tools.translating.scans import ct_values, mr_values, write_dicom, write_picture, write_volume
from translating.request import Request
from transmodal.checkpoints import save_weights

Run = Callable[..., str]


@pytest.fixture(scope="module")
def tiny(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shrink(root / "bundles" / "ct_mr_cyclegan_translation", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def run(run_translate: Callable[..., str], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line with the tiny bundle; returns all it printed and checks the exit status."""
    monkeypatch.setattr(translate, "CLASSIFIER", tmp_path / "no classifier")

    def command(line: str, status: int = 0, bundle: bool = True) -> str:
        given = f"{line} --output {tmp_path / 'results'}" + f" --bundle {tiny} --device cpu" * bundle
        return run_translate(given, status)

    return command


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two good cases, two bad ones and something that is no image of a body."""
    folder = tmp_path / "mixed"
    write_volume(folder / "good.nii.gz", ct_values())
    write_volume(folder / "p1" / "mr.nii.gz", mr_values())
    write_volume(folder / "p1" / "mask.nii.gz", ct_values())
    write_picture(folder / "colour.png", np.zeros((16, 16, 3)))
    whole = (folder / "good.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    return folder


def test_bad_cases_do_not_stop_the_others_and_are_listed_at_the_end(run: Run, mixed: Path, tmp_path: Path) -> None:
    text = run(f"{mixed}", status=1)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["good", "p1"]
    counts, end = text.split("\n4 cases: ")[1].split("\n", 1)
    assert counts == "2 translated, 2 failed; 2 with warnings"  # nothing is known of the training
    assert "left out:\n  p1/mask.nii.gz: a mask, neither CT nor MR" in end
    assert f"colour: {mixed / 'colour.png'}: found a colour or palette picture" in end
    assert f"cut: {mixed / 'cut.nii.gz'}: found a file that cannot be read" in end
    assert "What to do:" in end


def test_given_again_it_goes_on_where_it_stopped(run: Run, mixed: Path) -> None:
    (mixed / "colour.png").unlink()
    (mixed / "cut.nii.gz").unlink()
    assert "2 cases: 2 translated" in run(f"{mixed}")
    write_volume(mixed / "new.nii.gz", ct_values((24, 26, 2)))
    text = run(f"{mixed}")
    assert "3 cases: 1 translated, 2 finished before" in text
    assert "new: translated" in text


def test_only_what_is_not_the_target_yet_is_translated(run: Run, mixed: Path, tmp_path: Path) -> None:
    (mixed / "colour.png").unlink()
    (mixed / "cut.nii.gz").unlink()
    text = run(f"{mixed} --to ct")
    assert "good: it already is CT" in text
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["p1"]


def test_a_lone_scan_that_is_the_target_already_ends_with_an_error(run: Run, mixed: Path) -> None:
    assert "1 case: 1 left out" in run(f"{mixed / 'good.nii.gz'} --to ct", status=1)


def test_ids_of_the_bundle_pass_through(run: Run, mixed: Path, tmp_path: Path) -> None:
    run(f'{mixed / "good.nii.gz"} --pixdim "[4.0,4.0,-1.0]"')
    text = (tmp_path / "results" / "good" / "provenance.json").read_text(encoding="utf-8")
    assert '"pixdim": [\n          4.0,' in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--to pet", "--to: found 'pet'; wanted ct or mr"),
        ("--from pet", "--from: found 'pet'; wanted ct or mr"),
        ("--seed 1.5", "--seed: found 1.5; wanted a whole number from 0 on"),
        ("--samples 0", "--samples: found 0; wanted a whole number from 1 on"),
        ("--force yes", "--force: found 'yes'; wanted True or False"),
        ("--classifier absent.pt", "absent.pt: found no such file; wanted the file of --classifier"),
        ("--segmentation absent", "absent: found no folder with configs/"),
        ("--config absent.json", "absent.json: found no such file; wanted the file of --config"),
        ("--sead 3", "found --sead"),
        ("--channels 3", "model.pt: found "),
        ("--from t1", "--from: found 't1'; wanted ct or mr"),
        ("--segmentation_config a.json", "found --segmentation automatic, which takes neither"),
        ("--segmentation_ckpt 7", "found --segmentation automatic, which takes neither"),
        ("--ckpt_path 7", "7: found no such file; wanted the file of --ckpt_path"),
        ("--classifier 20240106", "20240106: found no such file"),
        ("--config 7", "7: found no such file; wanted the file of --config"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_at_once(run: Run, mixed: Path, options: str, told: str) -> None:
    text = run(f"{mixed} {options}", status=1)
    assert told in text
    assert "What to do:" in text


def test_names_that_look_like_numbers_are_names(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_volume(tmp_path / "20240106" / "good.nii.gz", ct_values())
    shutil.copytree(tiny, tmp_path / "8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(translate, "CLASSIFIER", tmp_path / "no classifier")
    with pytest.raises(SystemExit, match="0"):
        fire.Fire(translate.main, command=shlex.split("20240106 --output 7 --bundle 8 --device cpu"))
    assert (tmp_path / "7" / "good" / "mr.nii.gz").is_file()


def test_every_option_reaches_the_record_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []
    monkeypatch.setattr(translate, "_run", asked.append)
    names = ("input", "output", "bundle", "ckpt_path", "classifier", "segmentation", "segmentation_ckpt")
    given = {name: f"00{number}" for number, name in enumerate(names)}
    given |= {"to": "mr", "config": "a.json", "seed": 3, "samples": 2, "segmentation_config": "b.json", "series": 4}
    given |= {"force": True, "from": "ct", "device": "cpu"}
    with pytest.raises(SystemExit):
        fire.Fire(translate.main, command=[f"--{key}={value}" for key, value in given.items()])
    assert asked[0].command == given


def test_modalities_may_be_in_capitals(run: Run, mixed: Path, tmp_path: Path) -> None:
    run(f"{mixed / 'good.nii.gz'} --from CT --to MR")
    assert (tmp_path / "results" / "good" / "mr.nii.gz").is_file()


def test_an_input_in_the_folder_of_the_results_is_translated_beside_it(run: Run, tmp_path: Path) -> None:
    write_dicom(tmp_path / "results" / "leg", ct_values())
    run(f"{tmp_path / 'results' / 'leg'}")
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["leg", "leg_2"]


def test_a_bundle_that_segments_takes_its_own_weights_and_configs(
    run: Run, mixed: Path, tiny: Path, tmp_path: Path
) -> None:
    """A stand-in for it: the translating bundle, its output named mask by the config that its weights need."""
    segmenting = tmp_path / "ct_mr_tiny_segmentation"
    shutil.copytree(tiny, segmenting)
    (segmenting / "models" / "model.pt").rename(tmp_path / "7.pt")
    (tmp_path / "named.json").write_text('{"postprocessing#transforms#-1#folder_layout#name": "mask"}')
    given = f"--segmentation {segmenting} --segmentation_ckpt {tmp_path / '7.pt'}"
    run(f"{mixed / 'good.nii.gz'} {given} --segmentation_config {tmp_path / 'named.json'}")
    record = json.loads((tmp_path / "results" / "good" / "provenance.json").read_text(encoding="utf-8"))
    assert list(record["request"]["segmentation"]["configs"]) == ["inference.json", "named.json"]


@pytest.fixture
def three(root: Path, tmp_path: Path) -> str:
    """Options for a tiny StarGAN of CT, T1 and T2 with drawn weights."""
    stargan, overlay = root / "bundles" / "ct_mr_stargan_translation", "configs/ct_t1_t2.json"
    ids = TINY[stargan.name].network
    layers = Layers(Bundle(stargan), (stargan / overlay,), ids)
    with layers.bundle.importable():
        save_weights(fill(layers.parser.get_parsed_content("network_def").state_dict()), tmp_path / "drawn.pt")
    given = " ".join(f"--{key} '{value}'" for key, value in ids.items())
    return f"--bundle {stargan} --config {overlay} --ckpt_path {tmp_path / 'drawn.pt'} --device cpu {given}"


@pytest.mark.parametrize(("file", "options", "made"), [("good", "--to t1", "t1"), ("p1/mr", "--from t2", "ct")])
def test_the_domains_of_a_config_are_translated(
    run: Run, mixed: Path, tmp_path: Path, three: str, file: str, options: str, made: str
) -> None:
    run(f"{mixed / f'{file}.nii.gz'} {options} {three}", bundle=False)
    assert (tmp_path / "results" / file.partition("/")[0] / f"{made}.nii.gz").is_file()


def test_a_contrast_made_of_dicom_is_dicom_of_mr(run: Run, tmp_path: Path, three: str) -> None:
    write_dicom(tmp_path / "leg", ct_values())
    run(f"{tmp_path / 'leg'} --to t2 {three}", bundle=False)
    file = next((tmp_path / "results" / "leg" / "dicom").iterdir())
    assert pydicom.dcmread(file).Modality == "MR"


def test_a_config_of_contrasts_is_refused_at_once_where_none_is_named(run: Run, mixed: Path, three: str) -> None:
    text = run(f"{mixed} {three}", status=1, bundle=False)
    assert "ct to mr, mr to ct: found no such direction" in text
    assert "cases" not in text


def test_results_do_not_go_into_the_input_itself(run: Run, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    write_volume(tmp_path / "results" / "a.nii.gz", ct_values())
    assert "--output: found the input itself" in run(f"{tmp_path / 'results'}", status=1)


def test_an_output_that_cannot_be_written_is_one_error(run: Run, mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(tmp_path / "mixed" / "good.nii.gz" / "below")
    text = run(f"{mixed}", status=1)
    assert text.count("no folder that can be written") == 1
    assert "Traceback" not in text


def test_an_input_without_images_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "none of them an image" in run(f"{tmp_path / 'empty'}", status=1)


def test_libraries_do_not_talk_between_the_lines(run: Run, mixed: Path) -> None:
    assert "WARNING" not in run(f"{mixed / 'good.nii.gz'}")


def test_the_classifier_is_the_bundles_own_or_else_the_one_that_comes_with_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "bundles" / "ct_mr_modality_classification" / "models" / "model.pt"
    came = tmp_path / "weights" / "ct_mr_modality_classification" / "model.pt"
    monkeypatch.setattr(translate, "CLASSIFIER", own)
    assert translate._classifier(None) is None
    came.parent.mkdir(parents=True)
    came.write_bytes(b"weights")
    came.with_name("weights.json").write_text(json.dumps(record_of(came, came.parent.name)))
    assert translate._classifier(None) == came
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    assert translate._classifier(None) == own


def test_the_limits_of_weights_that_come_with_the_project_are_told_once_and_recorded(
    run_translate: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translate, "CLASSIFIER", tmp_path / "no classifier")
    home, came = (tmp_path / folder / tiny.name for folder in ("bundles", "weights"))
    shutil.copytree(tiny, home)
    came.mkdir(parents=True)
    (home / "models" / "model.pt").rename(came / "model.pt")
    record = {**record_of(came / "model.pt", tiny.name), "values": {}}
    (came / "weights.json").write_text(json.dumps(record))
    for name in ("a", "b"):
        write_volume(tmp_path / "scans" / f"{name}.nii.gz", ct_values())
    given = f"{tmp_path / 'scans'} --output {tmp_path / 'results'} --bundle {home} --device cpu"
    told = f"Weights that come with the project: {record['limits']}\n"
    assert run_translate(given).count(told) == 1
    for name in ("a", "b"):
        made = json.loads((tmp_path / "results" / name / "provenance.json").read_text(encoding="utf-8"))
        assert made["limits"] == record["limits"]
    assert run_translate(given).count(told) == 1


def test_own_weights_are_said_to_have_no_limits(run: Run, mixed: Path, tmp_path: Path) -> None:
    assert "Weights that come" not in run(f"{mixed / 'good.nii.gz'}")
    assert "limits" not in json.loads((tmp_path / "results" / "good" / "provenance.json").read_text(encoding="utf-8"))


def test_the_help_tells_every_option(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fire.Fire(translate.main, command=["--help"])
    text = "".join(capfd.readouterr())
    for option in (
        "output",
        "to",
        "bundle",
        "config",
        "ckpt_path",
        "seed",
        "samples",
        "classifier",
        "segmentation_config",
        "force",
    ):
        assert f"--{option}" in text
    assert "--from ct" in text
