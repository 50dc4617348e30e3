"""A training of the published code goes on as one of this bundle: its settings, weights, averages and moments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from syndiff_bundle.published import as_trained, recognise, time_discriminator_names
from syndiff_bundle.training_file import TrainedNetwork, TrainingFile, read_training
from transmodal.checkpoints import KeyMap, Published, match
from transmodal.errors import InputError
from transmodal.published import patch_discriminator_names, resnet_generator_names

PLACES = {
    "gen_diffusive_1": ("network", "first"),
    "gen_diffusive_2": ("network", "second"),
    "gen_non_diffusive_2to1": ("estimators", "first"),
    "gen_non_diffusive_1to2": ("estimators", "second"),
    "disc_diffusive_1": ("critics", "first"),
    "disc_diffusive_2": ("critics", "second"),
    "disc_non_diffusive_cycle1": ("patch_critics", "first"),
    "disc_non_diffusive_cycle2": ("patch_critics", "second"),
}
"""Published network to ours; the estimator ``first`` makes the first contrast from the second."""
ARGUMENTS = {
    "max_epochs": "num_epoch",
    "batch_size": "batch_size",
    "generator_rate": "lr_g",
    "critic_rate": "lr_d",
    "l1_weight": "lambda_l1_loss",
    "cycle_weight": "lambda_l1_loss",
    "r1_gamma": "r1_gamma",
}
"""Id in ``train.json`` to the published option."""
GENERATOR = ("channels", "channel_mult", "num_res_blocks", "attention", "latent_dim", "style_dim")
RATES = ("lr", "initial_lr", "betas", "eps", "weight_decay")
CONSTANT = {"_target_": "torch.optim.lr_scheduler.ConstantLR", "_mode_": "callable", "factor": 1.0}

read = read_training


def settings(training: TrainingFile) -> dict[str, Any]:
    """Values of ``train.json``, by their ids, with which the training was made.

    Raises:
        InputError: if the networks are not those of the published code, or the two generators differ.
    """
    generator, arguments = _generator(training), training.arguments
    values = {name: generator.definition[name] for name in GENERATOR}
    values |= dict(generator.settings) | _other_widths(training)
    if generator.definition["mapping_layers"] != 3:
        values["generator_def#mapping_layers"] = generator.definition["mapping_layers"]
    values |= {ours: arguments[option] for ours, option in ARGUMENTS.items() if option in arguments}
    values["r1_interval"] = arguments.get("lazy_reg") or 1
    if {"image_height", "image_width"} <= arguments.keys():
        values["patch"] = [arguments["image_height"], arguments["image_width"]]
    elif "image_size" in arguments:
        values["patch"] = [arguments["image_size"], arguments["image_size"]]
    if arguments.get("use_ema"):
        values["ema_decay"] = arguments["ema_decay"]
    if arguments.get("no_lr_decay"):
        values["schedule"] = CONSTANT
    return values


def restore(training: TrainingFile, state: Mapping[str, Any]) -> list[str]:
    """Give the objects of a training of this bundle the state of the published one.

    Without averages in the file the average starts from the weights. Averages of the estimators are left behind, since
    this bundle does not translate with them.

    Args:
        training: the published training.
        state: what `transmodal.handlers.Resume` saves, by name: networks, optimizers, their schedulers, and so on.
    Returns:
        What became of every tensor, for the reader.
    Raises:
        InputError: if a network does not match whole, or optimizers disagree that are one here.
    """
    report, origins = [], dict[Parameter, tuple[str, str]]()
    for name, (module, child) in PLACES.items():
        network, published = state[module].get_submodule(child), training.networks[name]
        where, key_map = f"{training.path}, {name}", _key_map(name, published)
        weights, matched = match(published.weights, network.state_dict(), key_map, where)
        network.load_state_dict(weights)
        if module == "network":
            average, _ = match(published.average, network.state_dict(), key_map, where)
            state["average"].get_submodule(child).load_state_dict(average)
        theirs = {ours: key for key, ours in matched.loaded.items()}
        origins |= {parameter: (name, theirs[ours]) for ours, parameter in network.named_parameters()}
        report += [str(matched)]
    for optimizer in (item for item in state.values() if isinstance(item, Optimizer)):
        report += [_restore_optimizer(optimizer, origins, training)]
    for scheduler in (item for item in state.values() if isinstance(item, LRScheduler)):
        _restore_schedule(scheduler, origins, training)
    state["objective"].load_state_dict({"calls": training.global_step})
    first, second = (training.arguments.get(name, "not told") for name in ("contrast1", "contrast2"))
    report += [f"contrasts: the first was {first}, the second {second}; where `contrasts` are others, change them"]
    averaged = training.networks["gen_diffusive_1"].has_average
    return [*report, f"average: {'as in the file' if averaged else 'none in the file; it starts from the weights'}"]


def _restore_optimizer(
    optimizer: Optimizer, origins: Mapping[Parameter, tuple[str, str]], training: TrainingFile
) -> str:
    """Adam's moments and rates, parameter by parameter; several published optimizers may be one here."""
    key_maps = {name: _key_map(name, network) for name, network in training.networks.items()}
    saved, restored, total = optimizer.state_dict(), 0, 0
    for group, saved_group in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        sources = [origins[parameter] for parameter in group["params"]]
        rates = _agreed(training, [name for name, _ in sources], lambda network: network.rates, "optimizers")
        saved_group |= {name: rates[name] for name in RATES if name in rates}
        for number, (name, key) in zip(saved_group["params"], sources, strict=True):
            total += 1
            if moments := training.networks[name].moments[key]:
                restored += 1
                saved["state"][number] = {
                    "step": torch.tensor(float(moments["step"])),
                    "exp_avg": key_maps[name].oriented(key, moments["exp_avg"]),
                    "exp_avg_sq": key_maps[name].oriented(key, moments["exp_avg_sq"]),
                }
    optimizer.load_state_dict(saved)
    names = dict.fromkeys(name for group in optimizer.param_groups for name in _names(group, origins))
    return f"Adam of {', '.join(names)}: moments of {restored} of {total} tensors"


def _restore_schedule(
    scheduler: LRScheduler, origins: Mapping[Parameter, tuple[str, str]], training: TrainingFile
) -> None:
    """The place in the schedule; without decay every epoch is like the others."""
    if training.arguments.get("no_lr_decay"):
        return
    names = [name for group in scheduler.optimizer.param_groups for name in _names(group, origins)]
    published = _agreed(training, names, lambda network: network.schedule, "schedulers")
    own = scheduler.state_dict()
    scheduler.load_state_dict({name: published.get(name, value) for name, value in own.items()})


def _names(group: Mapping[str, Any], origins: Mapping[Parameter, tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(origins[parameter][0] for parameter in group["params"]))


def _agreed(
    training: TrainingFile, names: Sequence[str], of: Callable[[TrainedNetwork], dict[str, Any]], what: str
) -> dict[str, Any]:
    """What the named networks all have."""
    first, *others = dict.fromkeys(names)
    values = of(training.networks[first])
    for other in others:
        if of(training.networks[other]) != values:
            raise InputError(
                training.path,
                found=f"other {what} for {first} than for {other}",
                wanted="equal ones, since this bundle has one for both",
                remedy="take over the generators alone: first=content.pth second=content.pth",
            )
    return values


def _generator(training: TrainingFile) -> Published:
    first, second = (
        as_trained(recognise(training.networks[name].weights, f"{training.path}, {name}"), training)
        for name in ("gen_diffusive_1", "gen_diffusive_2")
    )
    if first.definition != second.definition:
        raise InputError(
            training.path,
            found=f"gen_diffusive_1 ({first.title}) unlike gen_diffusive_2 ({second.title})",
            wanted="two generators of one architecture",
            remedy="take over the generators alone: first=content.pth second=content.pth",
        )
    return first


def _other_widths(training: TrainingFile) -> dict[str, Any]:
    """Widths and depths of the networks that only train."""

    def shape(name: str, key: str) -> tuple[int, ...]:
        weights = training.networks[name].weights
        if key not in weights:
            raise InputError(
                f"{training.path}, {name}",
                found=f"no {key}",
                wanted="the network that the published code trains",
                remedy="networks of another kind have to be trained again with this bundle",
            )
        return tuple(weights[key].shape)

    values = {
        "estimator_channels": shape("gen_non_diffusive_1to2", "model.1.weight")[0],
        "estimator_def#num_blocks": _blocks(training.networks["gen_non_diffusive_1to2"]),
        "critic_channels": shape("disc_diffusive_1", "start_conv.weight")[0] // 2,
        "patch_critic_channels": shape("disc_non_diffusive_cycle1", "model.0.weight")[0],
    }
    time_dim = shape("disc_diffusive_1", "t_embed.main.0.weight")[1]
    return values if time_dim == 256 else {**values, "critic_def#time_dim": time_dim}


def _key_map(name: str, network: TrainedNetwork) -> KeyMap:
    if name.startswith("gen_diffusive"):
        return recognise(network.weights, name).key_map
    if name.startswith("gen_non_diffusive"):
        return KeyMap(resnet_generator_names(_blocks(network)))
    return KeyMap(time_discriminator_names() if name.startswith("disc_diffusive") else patch_discriminator_names())


def _blocks(estimator: TrainedNetwork) -> int:
    return len({key.split(".")[1] for key in estimator.weights if re.fullmatch(r"model\.\d+\.conv_block\..*", key)})
