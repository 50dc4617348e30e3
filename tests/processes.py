"""Two processes: by the command that users type, and in less time by processes that have imported what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import monai.bundle
import torch
from torch.distributed import TCPStore

SECONDS = 600
"""After which two processes are taken to wait for each other; on a busy machine they may need minutes."""

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
    """The same without the seconds in which every process imports."""
    in_two(_run, (bundle, list(configs), ids), folder)


def in_two(function: Callable[..., None], arguments: tuple[Any, ...], folder: Path) -> None:
    """Call a function of a module in two processes as torchrun starts them, forked from one that has imported.

    Args:
        function, arguments: what each process calls.
        folder: for what the processes print.
    Raises:
        AssertionError: if one of them fails, with what they printed.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # held here as torchrun does
    logs = [folder / f"process_{rank}.log" for rank in range(2)]
    ranks = [
        context.Process(target=_rank, args=(rank, log, store.port, function, arguments))
        for rank, log in enumerate(logs)
    ]
    for log, process in zip(logs, ranks, strict=True):
        log.touch()
        process.start()
    waiting = {process.sentinel: process for process in ranks}
    while waiting:  # one that fails leaves the other waiting for it
        ended = [waiting.pop(each) for each in connection.wait(list(waiting), timeout=SECONDS)]  # type: ignore[call-overload]
        if not ended or any(process.exitcode for process in ended):
            for process in waiting.values():
                process.kill()
            raise AssertionError("\n".join(log.read_text()[-4000:] for log in logs))


def _rank(rank: int, log: Path, port: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """One process as torchrun starts it, with its number in the environment."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    place["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    os.environ.update({**QUIET, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)})
    torch.set_num_threads(1)
    function(*arguments)


def _run(bundle: Path, configs: list[str], ids: dict[str, Any]) -> None:
    """The bundle's root is the working directory, and what Python looks in first."""
    os.chdir(bundle)
    sys.path.insert(0, "")
    monai.bundle.run(config_file=configs, **ids)
