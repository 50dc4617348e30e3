"""Weights from files: what is read, what is refused, how keys are matched, and that nothing is written by halves."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from transmodal.checkpoints import (
    KeyMap,
    load_weights,
    match,
    read_checkpoint,
    read_safely,
    save_weights,
    state_dict_in,
)
from transmodal.errors import InputError

ONES = torch.ones(2)


@pytest.mark.parametrize(
    "content",
    [
        {"a.weight": ONES},
        {"state_dict": {"a.weight": ONES}, "epoch": 3},
        {"model": {"a.weight": ONES}},
        {"model_state": {"a.weight": ONES}},
        {"model_parameters": {"a.weight": ONES}, "optimizer_parameters": {}, "current_epoch": 3, "best_loss": 0.1},
        {"module.a.weight": ONES},
        {"module.module.a.weight": ONES},
    ],
)
def test_every_layout_reads_as_one_flat_state_dict(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "net.pth")
    state = read_checkpoint(tmp_path / "net.pth")
    assert list(state) == ["a.weight"]
    assert_close(state["a.weight"], ONES)


def test_module_in_front_of_some_keys_only_is_a_name_and_stays(tmp_path: Path) -> None:
    torch.save({"module.a": ONES, "b": ONES}, tmp_path / "net.pth")
    assert list(read_checkpoint(tmp_path / "net.pth")) == ["module.a", "b"]


def test_a_file_of_the_old_format_reads_too(tmp_path: Path) -> None:
    torch.save({"a": ONES}, tmp_path / "net.pth", _use_new_zipfile_serialization=False)
    assert list(read_checkpoint(tmp_path / "net.pth")) == ["a"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"a": np.ones(2)}, r"Python objects \(numpy"),
        ({"a": ONES, "options": Namespace(x=1)}, r"Python objects \(argparse.Namespace\)"),
        ({"epoch": 3, "net": {"a": ONES}}, r"no named tensors: epoch \(int\), net \(dict\)"),
        ({1: ONES}, r"no named tensors: 1 \(Tensor\)"),
        ([ONES], "a list"),
        ({}, "nothing in it"),
    ],
)
def test_a_file_of_anything_but_tensors_is_refused_with_a_remedy(tmp_path: Path, content: object, found: str) -> None:
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(InputError, match=rf"net.pth: found .*{found}(.|\n)*torch.save\(network.state_dict\(\), FILE\)"):
        read_checkpoint(tmp_path / "net.pth")


@pytest.mark.parametrize("numpy", ["numpy._core.multiarray", "numpy.core.multiarray"])
def test_a_best_score_that_numpy_computed_does_not_stand_in_the_way(tmp_path: Path, numpy: str) -> None:
    """A published DeepLabV3+ keeps its score as ``numpy.float64``, whose module had another name in NumPy 1."""
    score = np.float64(0.72)
    file = tmp_path / "best.pth"
    torch.save({"best_score": score, "model_state": {"a": ONES}}, file, _use_new_zipfile_serialization=False)
    file.write_bytes(file.read_bytes().replace(b"numpy._core.multiarray", numpy.encode()))
    assert list(read_checkpoint(file)) == ["a"]
    content = read_safely(file)
    assert isinstance(content, dict)
    assert content["best_score"] == score


def test_objects_of_allowed_classes_alone_are_read(tmp_path: Path) -> None:
    torch.save({"args": Namespace(x=1), "a": ONES}, tmp_path / "net.pth")
    content = read_safely(tmp_path / "net.pth", allowed=[Namespace])
    assert isinstance(content, dict)
    assert content["args"] == Namespace(x=1)
    with pytest.raises(InputError, match=r"Python objects \(argparse.Namespace\)"):
        read_safely(tmp_path / "net.pth")


def test_a_state_dict_in_the_hand_is_flattened_as_one_in_a_file() -> None:
    assert list(state_dict_in({"model": {"module.a": ONES}}, where="net.pth, generator")) == ["a"]
    with pytest.raises(InputError, match=r"net.pth, generator: found a list"):
        state_dict_in([ONES], where="net.pth, generator")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"hello world", b"PK\x03\x04" + 100 * b"0"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"net.pth: found (.|\n)*fetch it again"):
        read_checkpoint(tmp_path / "net.pth")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, tmp_path / "net.pth")
    (tmp_path / "net.pth").write_bytes((tmp_path / "net.pth").read_bytes()[:-500])
    with pytest.raises(InputError, match="a file that PyTorch cannot read"):
        read_checkpoint(tmp_path / "net.pth")


@pytest.mark.parametrize(("name", "found"), [("absent.pth", "no such file"), (".", "a folder")])
def test_a_path_without_a_file_is_named(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(InputError, match=f"found {found}; wanted a PyTorch checkpoint"):
        read_checkpoint(tmp_path / name)


def test_the_longest_published_name_wins_and_ends_at_a_dot() -> None:
    key_map = KeyMap({"model.1": "stem", "model.1.2": "inner", "model.1.2.gamma": "inner.weight"})
    published = ["model.1.bias", "model.1.2.bias", "model.1.2.gamma", "model.10.bias"]
    assert [key_map.name(key) for key in published] == ["stem.bias", "inner.bias", "inner.weight", None]


def test_an_empty_name_stands_for_every_key() -> None:
    assert KeyMap({"": "ct"}).name("head.bias") == "ct.head.bias"
    assert KeyMap({"generator": ""}).name("generator.head.bias") == "head.bias"


def test_matching_renames_drops_and_fills_and_reports_all_three() -> None:
    expected = {"stem.weight": torch.empty(2, device="meta"), "stem.bias": torch.empty(3, device="meta")}
    key_map = KeyMap({"model.1": "stem"}, dropped={r".*\.count": "it is unused"}, zeroed={r".*\.bias": "it is inert"})
    state, report = match({"model.1.weight": ONES, "model.2.count": ONES}, expected, key_map, where="net.pth")
    assert_close(state, {"stem.weight": ONES, "stem.bias": torch.zeros(3)})
    assert str(report) == (
        "net.pth: 1 tensors (2 values) loaded, none left over\n"
        "  1 dropped, because it is unused: model.2.count\n"
        "  1 set to zero, because it is inert: stem.bias"
    )


def test_matrices_stored_the_other_way_round_are_turned_and_reported() -> None:
    expected = {"query.weight": torch.empty(3, 2, device="meta"), "query.bias": torch.empty(3, device="meta")}
    stored = {"N.W": torch.arange(6.0).reshape(2, 3), "N.b": torch.arange(3.0)}
    key_map = KeyMap({"N.W": "query.weight", "N.b": "query.bias"}, transposed={r"N\.W": "it is [in, out]"})
    state, report = match(stored, expected, key_map, where="net.pth")
    assert_close(state, {"query.weight": stored["N.W"].T.contiguous(), "query.bias": stored["N.b"]}, rtol=0, atol=0)
    assert state["query.weight"].is_contiguous()
    assert "  1 transposed, because it is [in, out]: N.W" in str(report)


def test_a_matrix_that_is_none_is_misshapen_and_not_turned() -> None:
    key_map = KeyMap({"": ""}, transposed={"a": "it is [in, out]"})
    with pytest.raises(InputError, match=r"1 misshapen \(a \(2, 3, 4\) for \(3, 2\)\)"):
        match({"a": torch.ones(2, 3, 4)}, {"a": torch.ones(3, 2)}, key_map, where="net.pth")


def test_one_error_lists_every_fault_of_a_checkpoint() -> None:
    expected = {"a.x": ONES, "a.y": ONES, "a.z": ONES, "b": ONES}
    state = {"p.x": ONES, "q.x": ONES, "p.y": torch.ones(5), "p.z": torch.full((2,), torch.nan), "odd": ONES}
    with pytest.raises(InputError) as error:
        match(state, expected, KeyMap({"p": "a", "q": "a"}), where="net.pth")
    assert str(error.value).splitlines()[0] == (
        "net.pth: found 1 unknown (odd); 1 missing (b); 1 twice (q.x as a.x); 1 misshapen (p.y (5,) for (2,)); "
        "1 not finite (p.z); wanted exactly the 4 tensors of the network."
    )


def test_a_long_list_of_faults_is_cut_and_counted() -> None:
    with pytest.raises(InputError, match=r"500 unknown \(k0, .*k19, … and 480 more\)"):
        match({f"k{index}": ONES for index in range(500)}, {}, KeyMap({}), where="net.pth")


def test_weights_of_half_precision_become_those_of_the_network() -> None:
    state, _ = match({"a": ONES.half()}, {"a": ONES}, KeyMap({"": ""}), where="net.pth")
    assert state["a"].dtype == torch.float32


def test_loading_fills_the_network_and_returns_it(tmp_path: Path) -> None:
    trained, network = nn.Linear(2, 3), nn.Linear(2, 3)
    save_weights(trained.state_dict(), tmp_path / "model.pt")
    assert load_weights(network, tmp_path / "model.pt", device="cpu") is network
    assert_close(network.state_dict(), trained.state_dict(), rtol=0, atol=0)


def test_a_missing_weights_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model.pt: found no such file; wanted trained weights.\n.*tools/train_it"):
        load_weights(nn.Linear(2, 3), tmp_path / "model.pt", command="tools/train_it")
    with pytest.raises(
        InputError, match=r"wanted trained weights.\n.*train with `.* --config_file configs/train.json`"
    ):
        load_weights(nn.Linear(2, 3), tmp_path / "model.pt")


def test_weights_that_fit_in_part_change_nothing(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    save_weights({"weight": torch.zeros(3, 2), "extra": ONES}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"1 unknown \(extra\); 1 missing \(bias\)"):
        load_weights(network, tmp_path / "model.pt")
    assert_close(network.state_dict(), before, rtol=0, atol=0)


def test_saved_weights_take_no_more_room_than_their_values(tmp_path: Path) -> None:
    save_weights({"view": torch.zeros(1_000_000)[:2]}, tmp_path / "deep" / "model.pt")
    assert (tmp_path / "deep" / "model.pt").stat().st_size < 10_000


def test_two_processes_write_equal_weights_as_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for process in (1, 23456):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        save_weights({"weight": torch.ones(3)}, tmp_path / str(process) / "model.pt")
    assert len({path.read_bytes() for path in tmp_path.glob("*/model.pt")}) == 1


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    save_weights({"a": ONES}, tmp_path / "model.pt")
    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_weights({"a": 2 * ONES}, tmp_path / "model.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert_close(read_checkpoint(tmp_path / "model.pt")["a"], ONES)


def test_safetensors_read_as_a_state_dict(tmp_path: Path) -> None:
    save_file({"module.a.weight": torch.arange(6.0).reshape(2, 3)}, tmp_path / "w.safetensors")
    assert_close(read_checkpoint(tmp_path / "w.safetensors"), {"a.weight": torch.arange(6.0).reshape(2, 3)})


def test_broken_safetensors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"no tensors in here")
    with pytest.raises(InputError, match="SafetensorError"):
        read_checkpoint(tmp_path / "w.safetensors")
