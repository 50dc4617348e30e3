"""Libraries that come with a bundle's code: one that metadata leaves out is called by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.packaging.tiny import PACKAGE, edit
from tests.tools.contract.asking import find, reason, write


def forget(name: str, bundle: Path) -> None:
    edit(bundle, "metadata", lambda metadata: metadata["required_packages_version"].pop(name))


@pytest.mark.parametrize("line", ["import einops", "from einops.layers import torch", "class A:\n    import einops"])
def test_a_library_of_the_bundles_package_is_missed(bundle: Path, line: str) -> None:
    write(bundle, f"{PACKAGE}/rearranging.py", f"{line}\n")
    assert reason(bundle, "imported packages") == (
        f"'einops' is not in required_packages_version, and {PACKAGE}.rearranging imports einops"
    )


@pytest.mark.parametrize("name", ["safetensors", "pytorch-ignite"])
def test_a_library_of_the_core_that_the_configs_reach_is_missed(bundle: Path, name: str) -> None:
    weights: dict[str, Any] = {"_target_": "transmodal.checkpoints.load_weights", "_mode_": "callable"}
    handler: dict[str, Any] = {"_target_": "transmodal.handlers.LastWeights", "_mode_": "callable"}
    edit(bundle, "inference", lambda config: config.update(extra=[weights, {"nested": handler}]))
    assert find(bundle, "imported packages").status == "ok"
    forget(name, bundle)
    assert reason(bundle, "imported packages").startswith(f"'{name}' is not in required_packages_version, and transm")


def test_what_only_a_call_imports_need_not_be_there(bundle: Path) -> None:
    lazy = """from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import einops

try:
    import h5py
except ImportError:
    h5py = None


def call():
    import onnxruntime
"""
    write(bundle, f"{PACKAGE}/lazy.py", lazy)
    assert find(bundle, "imported packages").status == "ok"


def test_a_name_that_differs_from_that_of_its_package_is_understood(bundle: Path) -> None:
    write(bundle, f"{PACKAGE}/pictures.py", "import skimage\n")
    forget("scikit-image", bundle)
    assert reason(bundle, "imported packages").startswith("'scikit-image' is not in required_packages_version")
