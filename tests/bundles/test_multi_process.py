"""Every training of every bundle in two processes, as on many GPUs, against one process."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bundles.conftest import Trained
from tests.bundles.tiny import STATE, TINY, files_below, run
from tests.processes import by_command, by_forks
from transmodal.phantom import write_phantoms

COMMANDED = "ct_mr_cyclegan_translation"
"""The bundle with which the command itself is tested; it spends most of its time on imports."""

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
def both(training: Trained, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder, bundle, config = tmp_path_factory.mktemp("processes"), training.bundle, training.config
    row = TINY[bundle.name]
    data, one, two = (folder / name for name in ("data", "one", "two"))
    write_phantoms(data, cases=CASES, **row.phantoms)
    # copies of real images do for those of an earlier stage, which has seen other cases
    made = {
        key: str(shutil.copytree(data, folder / key)) if key.endswith("_dir") else made
        for key, made in training.made.items()
    }
    shared = {"dataset_dir": str(data), **made, **row.comparable, **SPLIT}
    batch = next((stage.ids.get("batch_size", 1) for stage in row.before if stage.config == config), 1)
    run(bundle, config, **shared, output_dir=str(one), ckpt_path=str(one / "model.pt"), batch_size=2 * batch)
    own = f"'{two}/rank_' + str(@rank)"
    files = {"output_dir": f"${own}", "ckpt_path": f"${own} + '/model.pt'"}
    ids = {**row.ids_of(config), **shared, **files, "batch_size": batch, "device": "cpu"}
    names = dict.fromkeys(["train", config, "multi_gpu_train"])
    in_two_processes = by_command if bundle.name == COMMANDED else by_forks
    in_two_processes(bundle, [f"configs/{name}.json" for name in names], ids, folder)
    return Both(one, two)


def test_two_processes_learn_what_one_learns_from_the_same_images(both: Both) -> None:
    """Weights move by up to 3e-3 meanwhile; with the gradients of one process alone they would differ as much.

    Untrained networks are chaotic: in four steps rounding becomes 1e-2 at a learning rate of 2e-3, and 1e-8 at 5e-5.
    """
    one, two = both.state(both.one), both.state(both.two / "rank_0")
    assert [two[key] for key in ("epoch", "epoch_length")] == [one[key] for key in ("epoch", "epoch_length")]
    assert one["epoch"] * one["epoch_length"] >= 3
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
