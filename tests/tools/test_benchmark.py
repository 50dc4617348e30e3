"""The command that measures a bundle: its table, its JSON, and what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import fire
import pytest

import benchmark
from benchmark import main
from benchmarks.measuring import Memory
from benchmarks.quality import Change
from benchmarks.steps import Steps
from benchmarks.volumes import VolumeMemory
from tests.packaging.tiny import give_weights, tiny_bundle

SYNDIFF = "ct_mr_syndiff_translation --overlay configs/small.json --resolution 16,16"


@pytest.fixture(autouse=True)
def no_further_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "peak_memory", lambda *_: Memory(peak=0.75, before=0.5))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path)


def run(line: str) -> None:
    fire.Fire(main, command=[*shlex.split(line), "--device", "cpu"])


def test_ours_equals_the_published_operators_in_every_float32_row(tmp_path: Path) -> None:
    run(f"{SYNDIFF} --batch 1,3 --threads 1 --repeats 1 --output {tmp_path / 'speed.json'}")
    measured = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert [(row["network"], row["batch"], row["dtype"]) for row in measured["rows"]] == [
        ("NCSNpp, published operators", 1, "float32"),
        ("NCSNpp, ours", 1, "float32"),
        ("NCSNpp, ours", 3, "float32"),
        ("NCSNpp, ours, channels_last", 1, "float32"),
        ("NCSNpp, ours, channels_last", 3, "float32"),
        ("NCSNpp, ours", 1, "bf16 autocast"),
        ("NCSNpp, ours", 3, "bf16 autocast"),
        ("NCSNpp, ours, channels_last", 1, "bf16 autocast"),
        ("NCSNpp, ours, channels_last", 3, "bf16 autocast"),
    ]
    assert measured["output_std"] > 0.1
    for row in measured["rows"]:
        assert row["difference"] <= (1e-5 if row["dtype"] == "float32" else 0.2)
    assert all(row["difference"] > 0 for row in measured["rows"][1:])


def test_the_table_is_printed_with_what_its_columns_mean(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(f"{tiny} --resolution 8,8 --batch 2 --threads 1 --repeats 2")
    printed = capsys.readouterr().out
    assert printed.startswith("ct_mr_tiny_translation on ")
    assert [line.split()[:2] for line in printed.splitlines()[1:6]] == [["network", "resolution"]] + [
        ["Translators,", name] for name in ("ours", "ours,", "ours", "ours,")
    ]
    assert "ms: median of 2 forward passes of a batch" in printed
    assert "0.50 of it before there was a network" in printed
    assert "weights: drawn at random" in printed


def test_the_json_says_where_and_how_it_was_measured(tiny: Path, tmp_path: Path) -> None:
    run(f"{tiny} --resolution 8,8 --batch 1 --threads 1 --repeats 3 --output {tmp_path / 'new' / 'speed.json'}")
    measured = json.loads((tmp_path / "new" / "speed.json").read_text(encoding="utf-8"))
    assert set(measured) == {
        "bundle", "machine", "device", "threads", "torch", "commit", "command",
        "weights", "repeats", "output_std", "gigabytes_before", "rows",
    }  # fmt: skip
    assert measured["threads"] == 1
    assert measured["repeats"] == 3
    assert measured["command"].startswith("python ")
    assert [len(row["repetitions_ms"]) for row in measured["rows"]] == [3, 3, 3, 3]


def test_of_md_dga_a_whole_volume_is_estimated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "ct_mr_mddga_translation --overlay configs/small.json --resolution 12,16 --batch 2 --estimate 8 --repeats 1"
    run(f"{line} --output {tmp_path / 'speed.json'} --override \"{{'num_steps': 5}}\"")
    measured = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert [part["calls"] for part in measured["estimate"]["parts"]] == [40, 5, 1]
    printed = capsys.readouterr().out
    assert ", published operators  " in printed
    assert "a volume of 8×12×16 in 5 steps, estimated" in printed


def test_of_x_ray2ctpa_the_denoiser_is_measured_and_a_whole_volume_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = {"num_steps": 5, "guidance": 2.0, "autoencoder_channels": [8, 8], "autoencoder_groups": 4, "xray_size": 32}
    ids |= {"denoiser_channels": 8, "channel_mult": [1, 2], "norm_groups": 4, "slices_at_once": 3}
    line = f'chest_xray_ctpa_translation --resolution 8,4,4 --batch 2 --repeats 1 --override "{ids}"'
    run(f"{line} --output {tmp_path / 'speed.json'}")
    measured = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert measured["rows"][0]["network"].endswith(", published operators")
    assert all(row["difference"] <= 1e-4 for row in measured["rows"] if row["dtype"] == "float32")
    estimate = measured["estimate"]
    assert estimate["volume"] == [8, 8, 8]
    # with guidance each step asks the denoiser twice; 8 slices are decoded 3 at a time
    assert [(part["name"], part["calls"]) for part in estimate["parts"]] == [
        ("denoiser", 10), ("encoder of the radiograph", 1), ("decoder", 3),
    ]  # fmt: skip
    assert "a volume of 8×8×8 in 5 steps, estimated" in capsys.readouterr().out


def test_the_means_of_every_number_of_steps_are_told(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = []
    rows = [Steps(50, {"mae": 100.0}, 2, 9.0), Steps(5, {"mae": 104.0}, 2, 1.0)]
    monkeypatch.setattr(benchmark, "compare_steps", lambda *arguments: given.append(arguments) or rows)
    line = (
        f"{tiny} --steps 50,5 --ckpt_path {give_weights(tiny)} --dataset_dir {tmp_path} --output {tmp_path / 's.json'}"
    )
    run(line)
    ((_, options, steps),) = given
    assert (options, steps) == ({"dataset_dir": str(tmp_path)}, (50, 5))
    measured = json.loads((tmp_path / "s.json").read_text())
    assert measured["steps"][1] == {"steps": 5, "means": {"mae": 104.0}, "cases": 2, "seconds": 1.0}
    assert "104.0 (+4.0)" in capsys.readouterr().out


def test_given_weights_are_measured(tiny: Path, tmp_path: Path) -> None:
    weights = give_weights(tiny)
    run(f"{tiny} --resolution 8,8 --batch 1 --repeats 1 --ckpt_path models/model.pt --output {tmp_path / 'speed.json'}")
    assert json.loads((tmp_path / "speed.json").read_text())["weights"] == str(weights.resolve())


def test_quality_tells_the_change_of_every_case(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = []
    changes = [Change("a", 30.0, 30.25), Change("b", 28.0, 27.5)]
    monkeypatch.setattr(benchmark, "compare_precisions", lambda *arguments: given.append(arguments) or changes)
    weights = give_weights(tiny)
    evaluate = f"--quality True --ckpt_path {weights} --dataset_dir {tmp_path} --source ct"
    evaluate += " --override \"{'datalist': None}\""
    run(f"{tiny} {evaluate} --output {tmp_path / 'q.json'}")
    ((setting, options),) = given
    assert setting.ckpt_path == str(weights)
    assert options == {"dataset_dir": str(tmp_path), "source": "ct", "datalist": "None"}
    measured = json.loads((tmp_path / "q.json").read_text())
    assert measured["psnr"][1] == {"case": "b", "float32": 28.0, "bf16": 27.5, "change": -0.5}
    assert measured["largest_change"] == 0.5
    assert (measured["weights"], measured["source"]) == (str(weights), "ct")
    assert "largest change: 0.5000 dB" in capsys.readouterr().out


def test_volumes_of_so_many_slices_are_measured(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = [VolumeMemory(20, 1.5, 0.75, 0.25), VolumeMemory(155, 1.5, 0.75, 0.5)]
    given: list[Any] = []
    monkeypatch.setattr(benchmark, "volume_memories", lambda *arguments: given.append(arguments) or measured)
    run(f"{tiny} --slices 20,155 --resolution 8,8 --output {tmp_path / 'memory.json'}")
    ((setting, slices),) = given
    assert (setting.resolution, slices) == ((8, 8), (20, 155))
    volumes = json.loads((tmp_path / "memory.json").read_text())["volumes"]
    assert [(each["slices"], each["added"]) for each in volumes] == [(20, 0.5), (155, 0.25)]
    assert "155" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no_such_bundle", r"no_such_bundle: found no folder with configs/"),
        ("{tiny} --batch 0", r"--batch: found 0; wanted whole numbers from 1 on"),
        ("{tiny} --resolution large", r"--resolution: found 'large'; wanted whole numbers"),
        ("{tiny} --steps 10", r"--steps: found no --ckpt_path; wanted trained weights"),
        ("{tiny} --slices many", r"--slices: found 'many'; wanted whole numbers from 1 on"),
        ("{tiny} --repeats 2,3", r"--repeats: found \(2, 3\); wanted one number"),
        ("{tiny} --overlay none.json", r"none.json: found no such file; wanted the file of --overlay"),
        ("{tiny} --quality true", r"--quality: found 'true'; wanted True or False"),
        ("{tiny} --quality True", r"--quality True: found no --ckpt_path; wanted trained weights"),
        ("{tiny} --quality True --ckpt_path configs/inference.json", r"--quality True: found no --dataset_dir"),
    ],
)
def test_a_wrong_argument_is_told_without_a_traceback(tiny: Path, line: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        run(line.format(tiny=tiny))
