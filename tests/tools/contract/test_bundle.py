"""A bundle's code comes and goes with its checks, and a check that breaks is an answer."""

from __future__ import annotations

import sys
from pathlib import Path

from contract import Bundle, Finding, run_checks
from tests.packaging.tiny import PACKAGE, tiny_bundle
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


def test_a_check_that_breaks_is_a_failure() -> None:
    def breaks(bundle: Bundle) -> list[str]:
        raise KeyError("nothing here")

    assert run_checks(Bundle("."), [breaks]) == [Finding("breaks", "FAIL", ("KeyError: 'nothing here'",))]
