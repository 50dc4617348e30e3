"""A training in two processes: by the command that users type, and in less time by processes that have all imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import monai.bundle
import torch
from torch.distributed import TCPStore

SECONDS = 240
QUIET = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
IMPORTED = [
    __name__,
    *("monai.transforms", "monai.engines", "monai.handlers", "ignite.handlers", "torch.utils.tensorboard"),
    *(f"transmodal.{room}" for room in ("data", "engines", "handlers", "inferers", "metrics", "networks.nets")),
]


def by_command(bundle: Path, configs: Sequence[str], ids: dict[str, Any], folder: Path) -> None:
    """What the README tells users of several GPUs to type, from the bundle's root."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    overrides = [text for key, value in ids.items() for text in (f"--{key}", str(value))]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "monai.bundle", "run", "--config_file", str(list(configs)), *overrides],
        cwd=bundle,
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def by_forks(bundle: Path, configs: Sequence[str], ids: dict[str, Any], folder: Path) -> None:
    """The same without the seconds in which every process imports: both are forked from one that has."""
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # held here as torchrun does
    logs = [folder / f"process_{rank}.log" for rank in range(2)]
    ranks = [
        context.Process(target=_rank, args=(*each, store.port, bundle, list(configs), ids)) for each in enumerate(logs)
    ]
    for process in ranks:
        process.start()
    waiting = {process.sentinel: process for process in ranks}
    while waiting:  # one that fails leaves the other waiting for it
        ended = [waiting.pop(each) for each in connection.wait(list(waiting), timeout=SECONDS)]  # type: ignore[call-overload]
        if not ended or any(process.exitcode for process in ended):
            for process in waiting.values():
                process.kill()
            raise AssertionError("\n".join(log.read_text()[-4000:] for log in logs))


def _rank(rank: int, log: Path, port: int, bundle: Path, configs: list[str], ids: dict[str, Any]) -> None:
    """One process as torchrun starts it: its number in the environment, the bundle's root as working directory."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    place["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    os.environ.update({**QUIET, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)})
    torch.set_num_threads(1)
    os.chdir(bundle)
    sys.path.insert(0, "")
    monai.bundle.run(config_file=configs, **ids)
