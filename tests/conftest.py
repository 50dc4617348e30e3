"""Fixtures for every test: one thread, a fixed seed, the optional shared data, tiny phantoms."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")

import pytest
import torch

from tests.sharing import ByBundleOrFile

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
sys.path[:0] = [str(path.parent) for path in sorted(ROOT.glob("bundles/*/configs"))]  # each has its own package


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByBundleOrFile | None:
    """For ``--dist loadscope``, which tools/test.py asks for."""
    return ByBundleOrFile(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(autouse=True)
def one_thread_and_one_seed() -> None:
    """Default thread counts make tiny tensors up to 100 times slower on a busy machine."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference numbers and real images beside the checkout; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("the reference data beside the checkout (../shared) is absent")
    return SHARED


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
