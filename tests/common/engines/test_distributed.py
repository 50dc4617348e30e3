"""The alternating trainer and its handlers in two gloo processes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.common.engines import two_ranks
from tests.processes import in_two


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("two_ranks")
    in_two(two_ranks.play, (folder,), folder)
    return json.loads((folder / "result.json").read_text())


def test_ranks_agree_on_every_weight(result: dict[str, Any]) -> None:
    assert result["ranks"][0]["weights"] == result["ranks"][1]["weights"]


def test_two_ranks_equal_one_process_with_twice_the_batch(result: dict[str, Any]) -> None:
    assert result["ranks"][0]["weights"] == pytest.approx(result["single"], abs=2e-5)


def test_average_follows_wrapped_networks(result: dict[str, Any]) -> None:
    distributed, single = result["averages"]
    assert distributed == pytest.approx(single, abs=2e-5)


def test_resumed_ranks_equal_uninterrupted_ranks(result: dict[str, Any]) -> None:
    assert result["ranks"][0]["resumed"] == result["ranks"][0]["weights"]
    assert result["ranks"][1]["resumed"] == result["ranks"][1]["weights"]


def test_each_rank_resumes_its_own_pool(result: dict[str, Any]) -> None:
    assert [rank["pool"] for rank in result["ranks"]] == [0.0, 1.0]


def test_saved_keys_have_no_wrapper_in_them(result: dict[str, Any]) -> None:
    assert result["keys"][:2] == ["ct.bias", "ct.weight"]


def test_nothing_but_whole_files_is_left(result: dict[str, Any]) -> None:
    assert sorted(result["parts"]) == ["model.pt", "resume.pt"]
