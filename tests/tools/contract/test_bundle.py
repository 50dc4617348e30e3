"""A bundle's code comes and goes with its checks, and a check that breaks is an answer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from contract import Bundle, Finding, run_checks
from tests.packaging.tiny import PACKAGE, edit, tiny_bundle
from tests.tools.contract.asking import find, write


def test_code_is_importable_only_during_a_check(bundle: Path) -> None:
    before = sys.path.copy()
    assert find(bundle, "forward parameters").status == "ok"
    assert sys.path == before
    assert not [name for name in sys.modules if name.startswith(PACKAGE)]


def test_bundles_with_packages_of_one_name_do_not_see_each_other(tmp_path: Path) -> None:
    first, second = tiny_bundle(tmp_path / "a"), tiny_bundle(tmp_path / "b")
    write(second, f"{PACKAGE}/networks.py", "from torch.nn import Identity as Translators\n")
    assert find(first, "forward parameters").status == "ok"
    assert find(second, "forward parameters").status == "FAIL"
    assert find(first, "forward parameters").status == "ok"


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("small", ["train"]),
        ("train_part", ["train"]),
        ("inference_part", ["inference"]),
        ("multi_gpu_inference", ["inference"]),
        ("evaluate_part", ["inference", "evaluate"]),
    ],
)
def test_a_config_is_complete_over_those_that_its_name_tells(bundle: Path, name: str, below: list[str]) -> None:
    write(bundle, f"configs/{name}.json", "{}")
    assert [Path(path).stem for path in Bundle(bundle).stack(name)] == [*below, name]


@pytest.mark.parametrize("key", ["network_def", "bundle_root"])
def test_a_config_with_what_every_other_is_laid_over_stands_alone(bundle: Path, key: str) -> None:
    write(bundle, "configs/compare.json", f'{{"{key}": "."}}')
    assert [Path(path).stem for path in Bundle(bundle).stack("compare")] == ["compare"]


def test_stages_and_what_they_leave_are_read_off_the_configs(bundle: Path) -> None:
    write(bundle, "configs/train_gain.json", "{}")
    edit(bundle, "train", lambda config: config.update(gain_path="gain.pt"))
    assert (Bundle(bundle).stages, Bundle(bundle).parts) == (["train_gain"], ["gain"])


def test_a_check_that_breaks_is_a_failure() -> None:
    def breaks(bundle: Bundle) -> list[str]:
        raise KeyError("nothing here")

    assert run_checks(Bundle("."), [breaks]) == [Finding("breaks", "FAIL", ("KeyError: 'nothing here'",))]
