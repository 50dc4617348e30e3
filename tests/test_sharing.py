"""How processes share the tests."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.sharing import BUNDLES, ByBundleOrFile, share_of

CYCLEGAN = "ct_mr_cyclegan_translation"


@pytest.mark.parametrize(
    "test",
    [
        f"tests/bundles/{CYCLEGAN}/test_networks.py::test_a",
        f"tests/bundles/test_smoke.py::test_b[{CYCLEGAN}-mr_to_ct]",
        f"tests/packaging/test_packed.py::test_c[{CYCLEGAN}]",
    ],
)
def test_all_tests_of_a_bundle_are_one_share(test: str) -> None:
    assert share_of(test) == CYCLEGAN


def test_no_bundle_is_taken_for_another() -> None:
    assert [share_of(f"tests/test_a.py::test_b[{name}-train]") for name in BUNDLES] == BUNDLES


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tests/common/test_files.py", "test_a"),
        ("tests/common/test_files.py", "TestB::test_c[1]"),
        ("tests/integration/web/test_page.py", f"test_d[{CYCLEGAN}]"),
    ],
)
def test_other_tests_and_those_with_real_programs_are_shares_by_file(path: str, name: str) -> None:
    assert share_of(f"{path}::{name}") == path


def test_shares_that_take_long_start_first_and_those_of_a_turn_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(scheduling: LoadScopeScheduling, node: None) -> None:
        started.append(scheduling.workqueue.popitem(last=False)[0])

    monkeypatch.setattr(LoadScopeScheduling, "_assign_work_unit", start)
    scheduling = ByBundleOrFile.__new__(ByBundleOrFile)  # without the processes that its constructor wants
    integration, parity = ["tests/integration/a.py", "tests/integration/b.py"], ["tests/parity/test_c.py"]
    others = ["tests/common/test_files.py", "tests/tools/test_d.py"]
    shares = [others[0], CYCLEGAN, integration[0], *parity, others[1], integration[1]]
    scheduling.workqueue = OrderedDict((share, OrderedDict()) for share in shares)
    for _ in shares:
        scheduling._assign_work_unit(None)  # type: ignore[arg-type]
    assert started == [*integration, CYCLEGAN, *parity, *others]


def test_the_processes_are_handed_these_shares() -> None:
    assert ByBundleOrFile._split_scope(None, f"a.py::b[{CYCLEGAN}]") == CYCLEGAN  # type: ignore[arg-type]
