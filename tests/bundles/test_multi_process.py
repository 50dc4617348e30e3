"""Every bundle's training in two processes, through the same command as on many GPUs, against one process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bundles.tiny import STATE, TINY, files_below, run
from transmodal.phantom import write_phantoms

CASES, VALIDATED = 7, ["phantom_004", "phantom_005", "phantom_006"]
"""An odd number validates, so that one of two processes is handed a case again to have as many as the other."""

SPLIT: dict[str, Any] = {"cases#validation": VALIDATED, "cases#test": 0}

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Both:
    """The same training twice.

    Args:
        one: folder of one process, with batches of two.
        two: folder of two processes, with batches of one; each rank has a folder of its own in it.
    """

    one: Path
    two: Path

    def state(self, folder: Path) -> dict[str, Any]:
        return torch.load(folder / STATE, weights_only=True)


@pytest.fixture(scope="session")
def both(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("processes")
    write_phantoms(folder / "data", cases=CASES, **TINY[bundle.name].phantoms)
    one, two = folder / "one", folder / "two"
    files = {"dataset_dir": str(folder / "data"), "output_dir": str(one), "ckpt_path": str(one / "model.pt")}
    row = TINY[bundle.name]
    run(bundle, "train", **files, **row.comparable, **SPLIT, batch_size=2)
    own = f"'{two}/rank_' + str(@rank)"
    files |= {"output_dir": f"${own}", "ckpt_path": f"${own} + '/model.pt'"}
    small = {**row.network, **row.training, **row.comparable, "batch_size": 1}
    in_two_processes(bundle, **files, **small, **SPLIT, device="cpu")
    return Both(one, two)


def in_two_processes(bundle: Path, **ids: Any) -> None:
    """What the README tells users of several GPUs to type, from the bundle's root."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    configs = "['configs/train.json','configs/multi_gpu_train.json']"
    overrides = [text for key, value in ids.items() for text in (f"--{key}", str(value))]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "monai.bundle", "run", "--config_file", configs, *overrides],
        cwd=bundle,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def test_two_processes_learn_what_one_learns_from_the_same_images(both: Both) -> None:
    """Weights move by up to 3e-3 meanwhile; with the gradients of one process alone they would differ as much.

    Untrained networks are chaotic: in four steps rounding becomes 1e-2 at a learning rate of 2e-3, and 1e-8 at 5e-5.
    """
    one, two = both.state(both.one), both.state(both.two / "rank_0")
    assert two["epoch_length"] == one["epoch_length"] >= 3
    for name in {"network", "critics", "critic"} & one["state"].keys():
        for key, value in one["state"][name].items():
            torch.testing.assert_close(two["state"][name][key], value, rtol=0, atol=2e-5, msg=f"{name}.{key}")


def test_only_the_first_process_writes(both: Both) -> None:
    assert [path.name for path in both.two.iterdir()] == ["rank_0"]


def test_the_first_process_writes_what_one_process_writes(both: Both) -> None:
    one, two = (
        {name for name in files_below(path) if "events" not in name} for path in (both.one, both.two / "rank_0")
    )
    assert two == one


def test_validation_counts_every_case_once(both: Both) -> None:
    one, two = (both.state(folder)["state"]["best"]["best"] for folder in (both.one, both.two / "rank_0"))
    assert two == pytest.approx(one, rel=1e-4)


def test_the_weights_have_no_trace_of_the_processes(both: Both) -> None:
    one, two = (torch.load(path / "model.pt", weights_only=True) for path in (both.one, both.two / "rank_0"))
    assert list(two) == list(one)
