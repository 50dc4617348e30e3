"""The program translate: many cases, one list at the end, an exit status."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fire
import numpy as np
import pytest

import translate
from tests.packaging.tiny import shrink
from tests.tools.translating.scans import ct_values, mr_values, write_picture, write_volume

Run = Callable[..., str]


@pytest.fixture(scope="module")
def tiny(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shrink(root / "bundles" / "ct_mr_cyclegan_translation", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line with the tiny bundle; returns all it printed and checks the exit status."""
    monkeypatch.setattr(translate, "CLASSIFIER", tmp_path / "no classifier")

    def command(line: str, status: int = 0, bundle: bool = True) -> str:
        given = f"{line} --output {tmp_path / 'results'}" + f" --bundle {tiny} --device cpu" * bundle
        found: Any = 0
        message = ""
        try:
            fire.Fire(translate.main, command=shlex.split(given))
        except SystemExit as end:
            found, message = (1, f"{end.code}") if isinstance(end.code, str) else (end.code or 0, "")
        printed = capfd.readouterr()
        text = printed.out + printed.err + message
        assert found == status, text
        return text

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
    assert counts == "2 translated, 2 failed; 0 with warnings"
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
    ],
)
def test_options_that_cannot_be_meant_are_refused_at_once(run: Run, mixed: Path, options: str, told: str) -> None:
    text = run(f"{mixed} {options}", status=1)
    assert told in text
    assert "What to do:" in text


def test_results_do_not_go_into_the_input_itself(run: Run, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    write_volume(tmp_path / "results" / "a.nii.gz", ct_values())
    assert "--output: found the input itself" in run(f"{tmp_path / 'results'}", status=1)


def test_an_input_without_images_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "none of them an image" in run(f"{tmp_path / 'empty'}", status=1)


def test_libraries_do_not_talk_between_the_lines(run: Run, mixed: Path) -> None:
    assert "WARNING" not in run(f"{mixed / 'good.nii.gz'}")


def test_the_help_tells_every_option(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fire.Fire(translate.main, command=["--help"])
    text = "".join(capfd.readouterr())
    for option in ("output", "to", "bundle", "config", "ckpt_path", "seed", "samples", "classifier", "force"):
        assert f"--{option}" in text
    assert "--from ct" in text
