"""A bundle so small that it translates in a moment, made once, and the pipeline around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.tiny import shrink
from translating.model import model_of
from translating.models import Models
from translating.pipeline import Pipeline, Wishes


@pytest.fixture(scope="session")
def tiny(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CycleGAN's bundle with a tiny network and drawn weights."""
    return shrink(root / "bundles" / "ct_mr_cyclegan_translation", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def pipeline(tiny: Path, tmp_path: Path) -> Callable[..., Pipeline]:
    """The pipeline with the tiny bundle, into ``tmp_path/results``; arguments are wishes."""

    def make(bundle: Path = tiny, ids: dict[str, Any] | None = None, **wishes: Any) -> Pipeline:
        models = Models([model_of(bundle, ids={"device": "cpu", **(ids or {})})])
        return Pipeline(models, Wishes(**wishes), tmp_path / "results")

    return make
