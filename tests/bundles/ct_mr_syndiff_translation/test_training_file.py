"""The published ``content.pth``: what is read from it, and what is refused."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from syndiff_bundle.training_file import NETWORKS, read_training, training_in
from torch.testing import assert_close

from tests.parity.syndiff_training import PublishedTraining
from transmodal.errors import InputError


class Malicious:
    """Would run code when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise RuntimeError('code of the file ran')",))


def test_progress_options_and_weights_are_read_without_their_prefix(
    training: PublishedTraining, tmp_path: Path
) -> None:
    read = read_training(training.save(tmp_path / "content.pth"))
    assert (read.epoch, read.global_step, read.arguments["lr_g"]) == (2, 4, 2e-4)
    assert list(read.networks) == list(NETWORKS)
    for name, network in read.networks.items():
        assert_close(network.weights, training.weights(name), rtol=0, atol=0)


def test_moments_belong_to_their_parameters(training: PublishedTraining, tmp_path: Path) -> None:
    read = read_training(training.save(tmp_path / "content.pth"))
    for name, network in read.networks.items():
        for key, parameter in training.parameters[name].items():
            expected = training.optimizers[name].state[parameter]["exp_avg"]
            assert torch.equal(network.moments[key]["exp_avg"], expected)


def test_a_parameter_that_was_never_updated_is_its_own_average(training: PublishedTraining) -> None:
    content = training.content()
    remembered = content["optimizer_gen_diffusive_1"]["state"]
    content["optimizer_gen_diffusive_1"]["state"] = {n: each for n, each in remembered.items() if n != 2}
    network = training_in(content, "content.pth").networks["gen_diffusive_1"]
    assert network.moments["all_modules.1.weight"] == {}
    assert torch.equal(network.average["all_modules.1.weight"], network.weights["all_modules.1.weight"])
    assert not torch.equal(network.average["all_modules.1.bias"], network.weights["all_modules.1.bias"])


def test_objects_other_than_its_options_are_not_unpickled(tmp_path: Path) -> None:
    torch.save({"args": Namespace(x=1), "gen_diffusive_1_dict": {}, "more": Malicious()}, tmp_path / "content.pth")
    with pytest.raises(InputError, match=r"content.pth: found Python objects \((builtins\.)?exec\)"):
        read_training(tmp_path / "content.pth")


def test_all_that_an_incomplete_file_lacks_is_listed(training: PublishedTraining) -> None:
    content = training.content()
    del content["global_step"], content["scheduler_disc_diffusive_2"]
    with pytest.raises(InputError, match=r"content.pth: found no global_step, scheduler_disc_diffusive_2"):
        training_in(content, "content.pth")


def test_a_state_dict_is_no_training(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"net.pth: found no training of the published code"):
        read_training(tmp_path / "net.pth")


def test_options_that_this_bundle_does_not_have_are_refused_with_what_it_has(training: PublishedTraining) -> None:
    content = training.content(use_geometric=True, centered=False, beta_max=20.0)
    found = "found a training with use_geometric True, centered False; wanted use_geometric False, centered True"
    with pytest.raises(InputError, match=found):
        training_in(content, "content.pth")


def test_an_optimizer_of_another_network_is_refused(training: PublishedTraining) -> None:
    content = training.content()
    content["optimizer_gen_diffusive_1"] = content["optimizer_disc_diffusive_1"]
    with pytest.raises(InputError, match="an optimizer_gen_diffusive_1 of 52 parameters for 302 tensors"):
        training_in(content, "content.pth")


def test_moments_of_another_shape_are_refused(training: PublishedTraining) -> None:
    content = training.content()
    remembered = content["optimizer_disc_diffusive_1"]["state"]
    turned = {**remembered[4], "exp_avg": torch.zeros(3)}
    content["optimizer_disc_diffusive_1"]["state"] = {**remembered, 4: turned}
    with pytest.raises(InputError, match=r"does not fit its network: start_conv.weight \(exp_avg\)"):
        training_in(content, "content.pth")
