"""The bundle, trained once in small, and data for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT
from transmodal.phantom import Thigh, Trunk, write_phantoms

BUNDLE = ROOT / "bundles" / "ct_mr_modality_classification"


@pytest.fixture(scope="session")
def classifier(train_once: Callable[[Path], Trained]) -> Trained:
    """The bundle after its tiny training."""
    return train_once(BUNDLE)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases: a thigh and a trunk with CT, T1, T2, radiograph and mask."""
    folder = tmp_path_factory.mktemp("phantoms")
    modalities = ("ct", "mr", "t2", "xray", "mask")
    write_phantoms(folder, cases=2, seed=4, shape=(40, 40, 6), modalities=modalities, regions=[Thigh(), Trunk()])
    return folder
