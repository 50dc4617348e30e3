"""Adapters: what learns and what does not, what they add, how they are merged, and when they are written."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.engines.workflow import Workflow
from torch import nn
from torch.testing import assert_close
from xray2ctpa_bundle.lora import (
    AdaptedLinear,
    BestAdapters,
    LastAdapters,
    linear_layers,
    load_adapters_,
    merge_,
    save_adapters,
    trained_parameters,
    trained_share,
    with_adapters,
    with_merged,
)
from xray2ctpa_bundle.unet3d import FactorisedUNet

from tests.bundles.chest_xray_ctpa_translation.denoisers import FACTORISED, Around, around, inputs, modern
from transmodal.checkpoints import save_weights
from transmodal.errors import InputError
from transmodal.handlers import EMAHandler
from transmodal.schedulers import CosineDiffusion, VelocityNet


def factorised() -> FactorisedUNet:
    return FactorisedUNet(**FACTORISED)


def of_velocity() -> VelocityNet:
    return VelocityNet(factorised(), CosineDiffusion(num_timesteps=1000))


denoisers = pytest.mark.parametrize("denoiser", [factorised, of_velocity, modern])


def trained(network: nn.Module) -> nn.Module:
    """As if trained: adapters that do something."""
    for parameter in trained_parameters(network):
        nn.init.normal_(parameter, std=0.3)
    return network


def kept(network: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


@denoisers
@torch.no_grad()
def test_new_adapters_change_nothing(denoiser: Callable[[], nn.Module]) -> None:
    network, given = around(denoiser()), inputs()
    before = network(*given)
    assert torch.equal(with_adapters(network)(*given), before)


@denoisers
def test_a_step_of_training_changes_every_adapter_and_nothing_else(denoiser: Callable[[], nn.Module]) -> None:
    network = with_adapters(around(denoiser()), rank=2).train()
    trained(network)
    before = kept(network)
    optimizer = torch.optim.Adam(trained_parameters(network), lr=0.1)
    network(*inputs()).square().mean().backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    layers = linear_layers(network)
    assert changed == {f"denoiser.{name}.{side}" for name in layers for side in ("up", "down")}
    assert all(parameter.grad is None for parameter in network.encoder.parameters())


def test_an_optimizer_of_all_parameters_would_not_move_the_others_either() -> None:
    network = with_adapters(around())
    before = kept(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)
    network(*inputs()).square().mean().backward()
    optimizer.step()
    after = network.state_dict()
    assert {key for key in before if not torch.equal(after[key], before[key])} == {
        key for key in before if key.endswith((".up", ".down"))
    }


def test_the_layers_are_those_of_blocks_and_of_softmax_attention() -> None:
    network = around()
    kinds = {name.rpartition(".")[2] for name in linear_layers(network)}
    assert kinds == {"context_projection", "query_key_value", "projection"}
    assert not any("pixels" in name for name in linear_layers(network) if not name.startswith("middle"))
    assert len(linear_layers(network)) == 2 + 4 * (2 + 2) + 2 + 4  # stem, two levels down and up, middle


def test_the_layers_of_the_other_denoiser_are_the_same_kinds() -> None:
    kinds = {name.rpartition(".")[2] for name in linear_layers(around(modern()))}
    assert kinds == {"time_emb_proj", "to_q", "to_k", "to_v", "out_proj"}


def test_the_keys_of_the_network_stay() -> None:
    network = around()
    before = set(network.state_dict())
    assert before < set(with_adapters(network).state_dict())


def test_the_share_that_learns_is_counted() -> None:
    network = Around(FactorisedUNet(**FACTORISED))
    assert trained_share(network) == 1
    weights = sum(parameter.numel() for parameter in network.parameters())
    layers = linear_layers(network).values()
    adapters = sum(3 * (layer.in_features + layer.out_features) for layer in layers)
    with_adapters(network, rank=3)
    assert sum(parameter.numel() for parameter in trained_parameters(network)) == adapters
    assert trained_share(network) == pytest.approx(adapters / (weights + adapters))


@torch.no_grad()
def test_an_adapted_layer_adds_the_scaled_product() -> None:
    linear, features = nn.Linear(5, 3), torch.randn(2, 4, 5)
    adapted = AdaptedLinear(linear, rank=2, scale=0.5)
    nn.init.normal_(adapted.up)
    expected = linear(features) + 0.5 * features @ adapted.down.t() @ adapted.up.t()
    assert_close(adapted(features), expected, rtol=0, atol=1e-6)
    assert_close(adapted.merged()(features), expected, rtol=0, atol=1e-6)


def test_adapters_begin_with_the_deviation_of_their_rank() -> None:
    down = AdaptedLinear(nn.Linear(4000, 8), rank=4, scale=1.0).down
    assert down.std().item() == pytest.approx(0.25, rel=0.05)


@denoisers
@torch.no_grad()
def test_merged_the_network_does_the_same_with_the_layers_it_had(denoiser: Callable[[], nn.Module]) -> None:
    network, given = around(denoiser()), inputs()
    keys = list(network.state_dict())
    trained(with_adapters(network, rank=2, scale=0.7))
    expected = network(*given)
    merge_(network)
    assert_close(network(*given), expected, rtol=1e-4, atol=1e-5)
    assert list(network.state_dict()) == keys
    assert not any(isinstance(module, AdaptedLinear) for module in network.modules())


@torch.no_grad()
def test_a_file_merges_into_the_weights_it_was_made_of(tmp_path: Path) -> None:
    network, given = around(), inputs()
    base = copy.deepcopy(network)
    save_adapters(trained(with_adapters(network, rank=2, scale=0.5)), tmp_path / "adapters.safetensors")
    found = with_merged(base, tmp_path / "adapters.safetensors")
    assert_close(found(*given), network(*given), rtol=1e-4, atol=1e-5)
    assert trained_share(found) == 1


@torch.no_grad()
def test_adapters_go_on_where_their_file_ends(tmp_path: Path) -> None:
    network, given = around(), inputs()
    base = copy.deepcopy(network)
    save_adapters(trained(with_adapters(network, rank=2)), tmp_path / "adapters.safetensors")
    resumed = with_adapters(base, rank=2, path=tmp_path / "adapters.safetensors")
    assert torch.equal(resumed(*given), network(*given))
    assert len(trained_parameters(resumed)) == 2 * len(linear_layers(resumed))


@pytest.mark.parametrize(("rank", "scale"), [(3, 1.0), (2, 0.5)])
def test_a_file_of_another_rank_or_scale_is_refused(tmp_path: Path, rank: int, scale: float) -> None:
    network = around()
    other = with_adapters(copy.deepcopy(network), rank, scale)
    save_adapters(with_adapters(network, rank=2), tmp_path / "adapters.safetensors")
    with pytest.raises(InputError, match=rf"found adapters of rank 2 and scale 1.0; wanted rank {rank} and scale"):
        load_adapters_(other, tmp_path / "adapters.safetensors")


def test_a_network_is_adapted_once() -> None:
    with pytest.raises(InputError, match="found one with adapters"):
        with_adapters(with_adapters(around()))


def test_a_network_without_such_layers_is_refused() -> None:
    with pytest.raises(InputError, match="found one with no layer to adapt"):
        with_adapters(nn.Conv3d(1, 1, 1))


@pytest.mark.parametrize("rank", [0, 9, True, "4"])
def test_ranks_that_fit_no_layer_are_refused(rank: int) -> None:
    with pytest.raises(InputError, match=rf"rank: found {rank!r}; wanted an integer from 1 to 8"):
        with_adapters(around(), rank)


@pytest.mark.parametrize("use", [merge_, lambda network: save_adapters(network, "never.safetensors")])
def test_without_adapters_there_is_nothing_to_merge_or_save(use: Callable[[nn.Module], object]) -> None:
    with pytest.raises(InputError, match=r"FactorisedUNet, adapters: found none(.|\n)*with_adapters"):
        use(around())


def test_the_best_adapters_are_written_and_worse_ones_are_not(tmp_path: Path) -> None:
    network, path = around(), tmp_path / "models/adapters.safetensors"
    base = copy.deepcopy(network)
    with_adapters(network, rank=2)
    validator = Engine(lambda _engine, _batch: None)
    validator.state.rank = 0
    BestAdapters(network, path, metric="mae").attach(validator)
    written = []
    for error in (2.0, 3.0, 1.0):
        trained(network)
        validator.state.metrics = {"mae": error}
        validator.fire_event(Events.COMPLETED)
        written.append(path.read_bytes())
    assert written[0] == written[1] != written[2]
    key = "denoiser.stem_attention.attention.projection.up"
    assert torch.equal(with_adapters(base, rank=2, path=path).state_dict()[key], network.state_dict()[key])


def test_the_last_adapters_are_written_alone(tmp_path: Path) -> None:
    network, path = around(), tmp_path / "models/adapters.safetensors"
    base = copy.deepcopy(network)
    with_adapters(network, rank=2)
    trainer = Workflow("cpu", 2, [{}], iteration_update=lambda *_: trained(network), handlers=[])
    LastAdapters(network, path).attach(trainer)
    trainer.run()
    resumed = with_adapters(base, rank=2, path=path)
    assert_close(resumed.state_dict(), network.state_dict(), rtol=0, atol=0)


@torch.no_grad()
def test_a_file_is_not_merged_into_other_convolutions(tmp_path: Path) -> None:
    network = around()
    other = copy.deepcopy(network)
    save_adapters(with_adapters(network, rank=2), tmp_path / "adapters.safetensors")
    for module in other.denoiser.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.normal_(module.weight)
    with pytest.raises(InputError, match="found adapters of other weights than those of the denoiser"):
        with_merged(other, tmp_path / "adapters.safetensors")


def test_averages_of_adapters_go_with_the_weights_that_were_never_averaged(tmp_path: Path) -> None:
    network = around()
    base = copy.deepcopy(network)
    with_adapters(network, rank=2)
    average = copy.deepcopy(network)
    trainer = Engine(lambda _engine, _batch: trained(network))
    EMAHandler(network, average, decay=0.7).attach(trainer)
    trainer.run([0, 1, 2])
    save_adapters(average, tmp_path / "adapters.safetensors")
    resumed = with_adapters(base, rank=2, path=tmp_path / "adapters.safetensors")
    assert_close(resumed.state_dict(), average.state_dict(), rtol=0, atol=0)
    assert not torch.equal(
        next(iter(linear_layers(network).values())).up, next(iter(linear_layers(average).values())).up
    )


@torch.no_grad()
def test_configs_train_adapters_of_loaded_weights_and_merge_them(tmp_path: Path) -> None:
    """The two calls that an overlay of a training and one of inference make."""
    config = ConfigParser(
        {
            "adapters_path": str(tmp_path / "adapters.safetensors"),
            "network_def": {"_target_": "xray2ctpa_bundle.unet3d.FactorisedUNet", **FACTORISED},
            "loaded": {
                "_target_": "transmodal.checkpoints.load_weights",
                "network": "@network_def",
                "path": str(tmp_path / "model.pt"),
            },
            "network": {"_target_": "xray2ctpa_bundle.lora.with_adapters", "network": "@loaded", "rank": 2},
            "parameters": {"_target_": "xray2ctpa_bundle.lora.trained_parameters", "network": "@network"},
            "merged": {
                "_target_": "xray2ctpa_bundle.lora.with_merged",
                "network": "@network_def",
                "path": "@adapters_path",
                "weights": str(tmp_path / "model.pt"),
            },
        }
    )
    condition, noisy = inputs()
    given = condition, noisy, torch.tensor([3, 700])
    save_weights(around().denoiser.state_dict(), tmp_path / "model.pt")
    network = trained(config.get_parsed_content("network"))
    assert len(config.get_parsed_content("parameters")) == 2 * len(linear_layers(network))
    save_adapters(network, tmp_path / "adapters.safetensors")
    config.parse(reset=True)  # as another run would
    assert_close(config.get_parsed_content("merged")(*given), network(*given), rtol=1e-4, atol=1e-5)
