"""A published training going on in this bundle: the same settings, weights, averages, moments and rates."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from syndiff_bundle.continuing import PLACES, restore, settings
from syndiff_bundle.published import time_discriminator_names
from syndiff_bundle.training_file import TrainingFile, training_in
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler
from torch.testing import assert_close

from tests.parity.published_names import ncsnpp_key_map
from tests.parity.syndiff_training import KEYS, PublishedTraining
from transmodal.checkpoints import KeyMap
from transmodal.errors import InputError
from transmodal.published import patch_discriminator_names, resnet_generator_names

KEY_MAPS = {
    "ncsnpp_small_64x64": ncsnpp_key_map([False, False, True]),
    "resnet_gen_small": KeyMap(resnet_generator_names(6)),
    "disc_diffusive_small": KeyMap(time_discriminator_names()),
    "disc_nondiffusive_small": KeyMap(patch_discriminator_names()),
}


def published(training: PublishedTraining, **arguments: Any) -> TrainingFile:
    """The training as read from its file."""
    return training_in(training.content(**arguments), "content.pth")


def objects(root: Path, training: TrainingFile) -> dict[str, Any]:
    """What the bundle's own training saves, made with the settings of a published one."""
    parser = ConfigParser()
    parser.read_config(str(root / "bundles/ct_mr_syndiff_translation/configs/train.json"))
    for key, value in {**settings(training), "device": "cpu"}.items():
        parser[key] = value
    targets = [each.get("_target_", "") if isinstance(each, dict) else "" for each in parser["train#handlers"]]
    return parser.get_parsed_content(f"train#handlers#{targets.index('transmodal.handlers.Resume')}#state")


def ours(name: str, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Values by published key of a network as our state dict has them."""
    key_map = KEY_MAPS[KEYS[name]]
    return {str(key_map.name(key)): key_map.oriented(key, value) for key, value in values.items()}


def network(state: dict[str, Any], name: str) -> torch.nn.Module:
    module, child = PLACES[name]
    return state[module].get_submodule(child)


@pytest.fixture(scope="module")
def restored(root: Path, training: PublishedTraining) -> tuple[dict[str, Any], list[str]]:
    """Objects of the bundle's own training in the published state, and the report; tests leave them as they are."""
    file = published(training)
    state = objects(root, file)
    return state, restore(file, state)


def test_settings_of_the_training_are_values_of_the_config(training: PublishedTraining) -> None:
    assert settings(published(training)) == {
        "channels": 16,
        "channel_mult": [1, 2, 4],
        "num_res_blocks": 2,
        "attention": [False, False, True],
        "latent_dim": 24,
        "style_dim": 32,
        "num_timesteps": 4,
        "estimator_channels": 8,
        "estimator_def#num_blocks": 6,
        "critic_channels": 8,
        "critic_def#time_dim": 32,
        "patch_critic_channels": 8,
        "max_epochs": 4,
        "batch_size": 1,
        "generator_rate": 2e-4,
        "critic_rate": 3e-4,
        "l1_weight": 0.25,
        "cycle_weight": 0.25,
        "r1_gamma": 0.5,
        "r1_interval": 7,
        "patch": [64, 64],
        "ema_decay": 0.75,
    }


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ({"lazy_reg": None}, {"r1_interval": 1}),
        ({"image_height": 400, "image_width": 480}, {"patch": [400, 480]}),
        ({"not_use_tanh": True}, {"generator_def#tanh": False}),
    ],
)
def test_options_become_their_settings(
    training: PublishedTraining, arguments: dict[str, Any], ids: dict[str, Any]
) -> None:
    assert settings(published(training, **arguments)).items() >= ids.items()


def test_the_decay_of_averages_is_the_bundles_own_where_the_training_kept_none(training: PublishedTraining) -> None:
    assert "ema_decay" not in settings(published(training, use_ema=False))


def test_every_network_has_the_published_weights(
    restored: tuple[dict[str, Any], list[str]], training: PublishedTraining
) -> None:
    state, _ = restored
    for name in KEYS:
        assert_close(dict(network(state, name).state_dict()), ours(name, training.weights(name)), rtol=0, atol=0)


def test_the_average_network_has_the_published_averages(
    restored: tuple[dict[str, Any], list[str]], training: PublishedTraining
) -> None:
    state, report = restored
    for name, child in (("gen_diffusive_1", "first"), ("gen_diffusive_2", "second")):
        average = dict(state["average"].get_submodule(child).state_dict())
        assert_close(average, ours(name, training.average(name)), rtol=0, atol=0)
    assert report[-1] == "average: as in the file"


def test_without_averages_in_the_file_the_average_starts_from_the_weights(
    root: Path, training: PublishedTraining
) -> None:
    file = published(training, use_ema=False)
    state = objects(root, file)
    report = restore(file, state)
    assert_close(dict(state["average"].state_dict()), dict(state["network"].state_dict()), rtol=0, atol=0)
    assert report[-1] == "average: none in the file; it starts from the weights"


def test_the_next_steps_and_rates_are_those_of_the_published_optimizers(
    root: Path, training: PublishedTraining
) -> None:
    file = published(training)
    state = objects(root, file)
    restore(file, state)
    reference = copy.deepcopy(training)
    gradients = reference.gradients(seed=99)
    for name in KEYS:
        turned = ours(name, gradients[name])
        for key, parameter in network(state, name).named_parameters():
            parameter.grad = turned[key]
    reference.step(gradients)
    for item in [item for item in state.values() if isinstance(item, Optimizer)]:
        item.step()
    for scheduler in [*reference.schedulers.values(), *(s for s in state.values() if isinstance(s, LRScheduler))]:
        scheduler.step()
    for name in KEYS:
        assert_close(dict(network(state, name).state_dict()), ours(name, reference.weights(name)), rtol=0, atol=1e-6)
    rates = {
        rate for scheduler in state.values() if isinstance(scheduler, LRScheduler) for rate in scheduler.get_last_lr()
    }
    published_rates = {rate for scheduler in reference.schedulers.values() for rate in scheduler.get_last_lr()}
    assert sorted(rates) == pytest.approx(sorted(published_rates), rel=1e-12)


def test_counts_go_on_from_the_published_iterations(restored: tuple[dict[str, Any], list[str]]) -> None:
    state, _ = restored
    assert state["objective"].state_dict() == {"calls": 4}
    assert state["best"].state_dict() == {"best": None, "epoch": None}


def test_the_report_counts_every_tensor_and_moment(restored: tuple[dict[str, Any], list[str]]) -> None:
    report = "\n".join(restored[1])
    assert "content.pth, gen_diffusive_1: 302 tensors" in report
    assert "transposed, because a projection of every pixel is stored as [in, out]" in report
    names = "gen_diffusive_1, gen_diffusive_2, gen_non_diffusive_2to1, gen_non_diffusive_1to2"
    assert f"Adam of {names}: moments of 676 of 676 tensors" in report
    assert "contrasts: the first was T1, the second T2" in report


def test_a_training_without_decay_keeps_its_rate(root: Path, training: PublishedTraining) -> None:
    file = published(training, no_lr_decay=True)
    state = objects(root, file)
    restore(file, state)
    schedulers = [item for item in state.values() if isinstance(item, LRScheduler)]
    assert all(isinstance(scheduler, ConstantLR) and scheduler.factor == 1 for scheduler in schedulers)


def test_a_network_that_does_not_match_whole_is_refused_with_every_fault(
    root: Path, training: PublishedTraining
) -> None:
    state = objects(root, published(training))
    content = training.content()
    weights = content["gen_non_diffusive_1to2_dict"]
    renamed = {key.replace("model.19.", "model.99."): value for key, value in weights.items()}
    content["gen_non_diffusive_1to2_dict"] = renamed
    lost = r"2 unknown \(model.99.weight, model.99.bias\); 2 missing \(up.1.conv.weight, up.1.conv.bias\)"
    with pytest.raises(InputError, match=rf"content.pth, gen_non_diffusive_1to2: found {lost}"):
        restore(training_in(content, "content.pth"), state)


def test_rates_that_differ_where_one_optimizer_serves_are_refused(root: Path, training: PublishedTraining) -> None:
    content = training.content()
    optimizer = content["optimizer_gen_diffusive_2"]
    content["optimizer_gen_diffusive_2"] = {**optimizer, "param_groups": [{**optimizer["param_groups"][0], "lr": 1.0}]}
    file = training_in(content, "content.pth")
    with pytest.raises(InputError, match="found other optimizers for gen_diffusive_1 than for gen_diffusive_2"):
        restore(file, objects(root, file))


def test_generators_of_two_architectures_are_refused(training: PublishedTraining) -> None:
    file = published(training)
    file.networks["gen_diffusive_2"].weights["z_transform.1.weight"] = torch.zeros(32, 25)
    with pytest.raises(InputError, match="wanted two generators of one architecture"):
        settings(file)
