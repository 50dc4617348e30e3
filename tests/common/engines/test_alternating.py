"""The alternating trainer: turns, frozen others, precision, accumulation, clipping, errors, logging."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, MetaTensor
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.handlers import StatsHandler, TensorBoardStatsHandler
from torch import Tensor, nn
from torch.utils.data.distributed import DistributedSampler

from transmodal.engines import AlternatingTrainer, Phase, named_losses
from transmodal.errors import InputError


class Adversaries:
    """A one-layer generator and discriminator with the terms of a least-squares adversarial game."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.generator = nn.Conv2d(1, 1, 3, padding=1)
        self.discriminator = nn.Conv2d(1, 1, 3)
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), lr=1e-2)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=1e-2)
        self.calls: list[str] = []

    def generator_terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        self.calls.append("generator")
        fake = self.generator(batch["image"])
        return {
            "adversarial": (self.discriminator(fake) - 1).square().mean(),
            "l1": (fake - batch["label"]).abs().mean(),
        }

    def discriminator_terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        self.calls.append("discriminator")
        fake = self.generator(batch["image"])
        real = self.discriminator(batch["label"])
        return {"real": (real - 1).square().mean(), "fake": self.discriminator(fake).square().mean()}

    def phases(self, **generator_options: Any) -> list[Phase]:
        return [
            Phase(
                name="generator",
                terms=self.generator_terms,
                optimizer=self.generator_optimizer,
                **generator_options,
            ),
            Phase(name="discriminator", terms=self.discriminator_terms, optimizer=self.discriminator_optimizer),
        ]

    def weights(self) -> list[Tensor]:
        return [p.detach().clone() for p in [*self.generator.parameters(), *self.discriminator.parameters()]]


def samples(count: int) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(7)
    return [
        {
            "case": f"STS_{index:03d}",
            "image": torch.randn(1, 8, 8, generator=generator),
            "label": torch.randn(1, 8, 8, generator=generator),
        }
        for index in range(count)
    ]


def loader(count: int = 2, batch_size: int = 1) -> DataLoader:
    return DataLoader(samples(count), batch_size=batch_size, num_workers=0)


def trained(
    game: Adversaries, data: Any = None, epochs: int = 1, phases: Any = None, **options: Any
) -> AlternatingTrainer:
    trainer = AlternatingTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=loader() if data is None else data,
        phases=game.phases() if phases is None else phases,
        **options,
    )
    trainer.run()
    return trainer


def test_is_a_monai_trainer_with_the_epochs_of_the_config() -> None:
    trainer = trained(Adversaries(), epochs=2)
    assert isinstance(trainer, Trainer)
    assert (trainer.state.max_epochs, trainer.state.epoch, trainer.state.iteration) == (2, 2, 4)


def test_phases_run_in_the_order_of_the_list() -> None:
    game = Adversaries()
    trained(game, phases=list(reversed(game.phases())))
    assert game.calls == ["discriminator", "generator"] * 2


def test_a_phase_runs_at_each_multiple_of_every() -> None:
    game = Adversaries()
    trainer = trained(game, data=loader(5), phases=list(reversed(game.phases(every=5))))
    assert game.calls == ["discriminator"] * 5 + ["generator"]
    assert "generator/l1" in trainer.state.output


def test_a_phase_that_did_not_run_has_no_loss() -> None:
    game = Adversaries()
    trainer = trained(game, data=loader(1), phases=game.phases(every=2))
    assert set(trainer.state.output) == {"discriminator/real", "discriminator/fake"}


def test_one_iteration_equals_the_same_steps_written_by_hand() -> None:
    game, hand = Adversaries(), Adversaries()
    trained(game, data=loader(1))
    batch = next(iter(loader(1)))
    hand.generator_optimizer.zero_grad()
    sum(hand.generator_terms(batch).values()).backward()
    hand.generator_optimizer.step()
    hand.discriminator_optimizer.zero_grad()
    sum(hand.discriminator_terms(batch).values()).backward()
    hand.discriminator_optimizer.step()
    torch.testing.assert_close(game.weights(), hand.weights(), rtol=0, atol=0)


def test_only_the_parameters_of_the_running_phase_require_gradients() -> None:
    game = Adversaries()
    seen: list[tuple[str, bool, bool]] = []

    def record(engine: AlternatingTrainer) -> None:
        seen.append((engine.state.phase, game.generator.weight.requires_grad, game.discriminator.weight.requires_grad))

    trainer = AlternatingTrainer("cpu", 1, loader(1), game.phases())
    trainer.add_event_handler(IterationEvents.LOSS_COMPLETED, record)
    trainer.run()
    assert seen == [("generator", True, False), ("discriminator", False, True)]
    assert all(p.requires_grad for p in [*game.generator.parameters(), *game.discriminator.parameters()])


def test_gradients_are_switched_on_again_after_an_error() -> None:
    game = Adversaries()

    def fail(batch: dict[str, Any]) -> dict[str, Tensor]:
        raise RuntimeError("deliberate")

    phases = [Phase(name="generator", terms=fail, optimizer=game.generator_optimizer), game.phases()[1]]
    with pytest.raises(RuntimeError, match="deliberate"):
        trained(game, phases=phases)
    assert game.discriminator.weight.requires_grad


def test_a_parameter_frozen_by_the_user_stays_frozen() -> None:
    game = Adversaries()
    game.discriminator.bias.requires_grad_(False)
    trained(game)
    assert not game.discriminator.bias.requires_grad


def test_a_parameter_shared_by_two_phases_is_trained_by_both() -> None:
    shared = nn.Parameter(torch.ones(()))
    steps: list[float] = []

    def terms(batch: dict[str, Any]) -> dict[str, Tensor]:
        steps.append(shared.item())
        return {"value": shared * 1.0}

    phases = [
        Phase(name=name, terms=terms, optimizer=torch.optim.SGD([shared], lr=0.25)) for name in ("first", "second")
    ]
    trained(Adversaries(), data=loader(1), phases=phases)
    assert [*steps, shared.item()] == [1.0, 0.75, 0.5]


def test_later_phases_find_what_earlier_ones_left_in_the_batch() -> None:
    game = Adversaries()
    found: list[Tensor] = []

    def leave(batch: dict[str, Any]) -> dict[str, Tensor]:
        fake = game.generator(batch["image"])
        batch["fake"] = fake.detach()
        return {"size": fake.abs().mean()}

    def find(batch: dict[str, Any]) -> dict[str, Tensor]:
        found.append(batch["fake"])
        return {"fake": game.discriminator(batch["fake"]).mean()}

    phases = [
        Phase(name="generator", terms=leave, optimizer=game.generator_optimizer),
        Phase(name="discriminator", terms=find, optimizer=game.discriminator_optimizer),
    ]
    trained(game, data=loader(2), phases=phases, accumulation_steps=2)
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("order", [1, -1])
def test_accumulating_batches_equals_one_big_batch(order: int) -> None:
    accumulated, big = Adversaries(), Adversaries()
    few = trained(accumulated, data=loader(4, 1), phases=accumulated.phases()[::order], accumulation_steps=2, epochs=2)
    many = trained(big, data=loader(4, 2), phases=big.phases()[::order], epochs=2)
    torch.testing.assert_close(accumulated.weights(), big.weights(), rtol=1e-5, atol=1e-7)
    assert few.state.output == pytest.approx(many.state.output, rel=1e-5)
    assert few.state.iteration == many.state.iteration == 4


def test_an_incomplete_last_window_is_used_and_not_lost() -> None:
    game = Adversaries()
    trainer = trained(game, data=loader(3), accumulation_steps=2)
    assert trainer.state.iteration == 2
    assert game.calls.count("generator") == 3


def test_clipping_bounds_each_phase_by_its_own_norm() -> None:
    game = Adversaries()
    norms: dict[str, float] = {}

    def record(engine: AlternatingTrainer) -> None:
        network = game.generator if engine.state.phase == "generator" else game.discriminator
        norms[engine.state.phase] = torch.cat([p.grad.flatten() for p in network.parameters()]).norm().item()

    trainer = AlternatingTrainer("cpu", 1, loader(1), game.phases(max_grad_norm=1e-3))
    trainer.add_event_handler(IterationEvents.INNER_ITERATION_COMPLETED, record)
    trainer.run()
    assert norms["generator"] == pytest.approx(1e-3, rel=1e-2)
    assert norms["discriminator"] > 1e-2


def test_bfloat16_on_the_cpu_is_used_and_close_to_single_precision() -> None:
    full, mixed = Adversaries(), Adversaries()
    seen: list[torch.dtype] = []
    mixed.generator.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    exact = trained(full, epochs=3).state.output
    rounded = trained(mixed, epochs=3, amp=True).state.output
    assert set(seen) == {torch.bfloat16}
    assert rounded == pytest.approx(exact, rel=2e-2, abs=1e-2)
    torch.testing.assert_close(mixed.weights(), full.weights(), rtol=0, atol=1.5e-2)


def test_bfloat16_needs_no_gradient_scaler() -> None:
    assert trained(Adversaries(), amp=True).scaler is None


def test_float16_scales_gradients_and_reports_unscaled_losses() -> None:
    full, mixed = Adversaries(), Adversaries()
    exact = trained(full, data=loader(1)).state.output
    trainer = trained(mixed, data=loader(1), phases=mixed.phases(max_grad_norm=1e3), amp=True, amp_dtype=torch.float16)
    assert trainer.scaler is not None
    assert trainer.scaler.get_scale() > 1
    assert trainer.state.output == pytest.approx(exact, rel=1e-2, abs=1e-2)


def test_clipping_acts_on_unscaled_gradients() -> None:
    game = Adversaries()
    game.generator_optimizer = torch.optim.SGD(game.generator.parameters(), lr=1.0)
    before = torch.cat([p.detach().flatten().clone() for p in game.generator.parameters()])
    phases = game.phases(max_grad_norm=1e-2)
    trainer = AlternatingTrainer("cpu", 1, loader(1), phases, amp=True, amp_dtype=torch.float16)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=128.0)  # the default overflows at first and skips the step
    trainer.run()
    after = torch.cat([p.detach().flatten() for p in game.generator.parameters()])
    assert (after - before).norm().item() == pytest.approx(1e-2, rel=1e-2)  # a step of SGD is the clipped gradient


def test_float16_overflow_skips_the_step_and_lowers_the_scale() -> None:
    game = Adversaries()
    before = game.weights()
    trainer = AlternatingTrainer("cpu", 1, loader(1), game.phases(), amp=True, amp_dtype=torch.float16)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    trainer.run()
    torch.testing.assert_close(game.weights(), before, rtol=0, atol=0)
    assert trainer.scaler.get_scale() == 2.0**39


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float32])
def test_a_precision_that_is_not_half_is_refused(dtype: Any) -> None:
    with pytest.raises(InputError, match=r"train#trainer#amp_dtype: found .* wanted torch.bfloat16 or torch.float16"):
        trained(Adversaries(), amp=True, amp_dtype=dtype)


def test_a_string_for_amp_is_refused() -> None:
    with pytest.raises(InputError, match="train#trainer#amp: found 'true'; wanted true or false in JSON"):
        trained(Adversaries(), amp="true")


@pytest.mark.parametrize("name", ["max_epochs", "accumulation_steps"])
@pytest.mark.parametrize("value", [0, "2", 1.5, True])
def test_counts_that_are_no_positive_integers_are_refused(name: str, value: Any) -> None:
    arguments = {"device": "cpu", "max_epochs": 1, "train_data_loader": loader(), "phases": Adversaries().phases()}
    with pytest.raises(InputError, match=f"train#trainer#{name}: found {value!r}; wanted an integer of 1 or more"):
        AlternatingTrainer(**{**arguments, name: value})


def test_two_phases_of_one_name_are_refused() -> None:
    game = Adversaries()
    with pytest.raises(InputError, match=r"found phases named \['generator', 'generator'\]"):
        trained(game, phases=[game.phases()[0]] * 2)


def test_an_objective_without_terms_is_refused() -> None:
    game = Adversaries()
    phases = [Phase(name="generator", terms=lambda batch: {}, optimizer=game.generator_optimizer)]
    with pytest.raises(InputError, match=r"the terms of phase 'generator': found \{\}"):
        trained(game, phases=phases)


def test_a_term_that_is_no_scalar_is_refused_by_name() -> None:
    game = Adversaries()
    phases = [
        Phase(name="g", terms=lambda batch: {"map": game.generator(batch["image"])}, optimizer=game.generator_optimizer)
    ]
    with pytest.raises(InputError, match=r"term 'map' of phase 'g': found shape \(1, 1, 8, 8\); wanted one number"):
        trained(game, phases=phases)


def test_a_loss_that_is_not_finite_is_named_with_its_iteration_and_case() -> None:
    records = samples(3)
    records[1]["image"][0, 4, 4] = float("nan")
    with pytest.raises(InputError) as caught:
        trained(Adversaries(), data=DataLoader(records, batch_size=1))
    assert "training loss 'generator/adversarial' at iteration 2 of epoch 1: found" in str(caught.value)
    assert "generator/l1 = nan" in str(caught.value)
    assert "STS_001" in str(caught.value)


def test_metadata_is_stripped_and_strings_pass() -> None:
    seen: list[dict[str, Any]] = []
    game = Adversaries()

    def spy(batch: dict[str, Any]) -> dict[str, Tensor]:
        seen.append(batch)
        return game.generator_terms(batch)

    data = [{"case": ["STS_001"], "image": MetaTensor(torch.ones(1, 1, 8, 8)), "label": torch.ones(1, 1, 8, 8)}]
    trained(game, data=data, phases=[Phase(name="g", terms=spy, optimizer=game.generator_optimizer)])
    assert type(seen[0]["image"]) is Tensor
    assert seen[0]["case"] == ["STS_001"]


def test_loader_batch_is_not_changed_by_what_the_objective_leaves() -> None:
    game = Adversaries()
    data = [next(iter(loader(1)))]

    def leave(batch: dict[str, Any]) -> dict[str, Tensor]:
        batch["fake"] = batch["image"]
        return game.generator_terms(batch)

    trained(game, data=data, phases=[Phase(name="g", terms=leave, optimizer=game.generator_optimizer)])
    assert "fake" not in data[0]


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_a_distributed_sampler_is_told_each_epoch(accumulation_steps: int) -> None:
    records = samples(4)
    sampler = DistributedSampler(records, num_replicas=1, rank=0)
    told: list[int] = []
    original = sampler.set_epoch
    sampler.set_epoch = lambda epoch: (told.append(epoch), original(epoch))[1]  # type: ignore[method-assign]
    data = DataLoader(records, batch_size=1, sampler=sampler)
    trained(Adversaries(), data=data, epochs=2, accumulation_steps=accumulation_steps)
    assert told == [1, 2]


def test_events_of_an_iteration_come_in_order() -> None:
    trainer = AlternatingTrainer("cpu", 1, loader(2), Adversaries().phases(), accumulation_steps=2)
    seen: list[str] = []
    for event in IterationEvents:
        trainer.add_event_handler(event, lambda engine, event=event: seen.append(event.value))
    trainer.run()
    turn = [
        "inner_iteration_started",
        "loss_completed",
        "loss_completed",
        "backward_completed",
        "inner_iteration_completed",
    ]
    assert seen == [*turn, *turn, "model_completed"]


def test_stats_handler_prints_every_named_loss(caplog: pytest.LogCaptureFixture) -> None:
    handler = StatsHandler(name="losses", output_transform=named_losses)
    handler.logger.addHandler(caplog.handler)  # MONAI's loggers do not propagate
    handler.logger.setLevel(logging.INFO)
    trained(Adversaries(), train_handlers=[handler])
    handler.logger.removeHandler(caplog.handler)
    lines = [record.getMessage() for record in caplog.records if "Iter: 2/2" in record.getMessage()]
    assert len(lines) == 1
    assert all(name in lines[0] for name in ("generator/adversarial: ", "generator/l1: ", "discriminator/real: "))


def test_tensorboard_handler_writes_every_named_loss(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    handler = TensorBoardStatsHandler(log_dir=str(tmp_path), output_transform=named_losses)
    output = trained(Adversaries(), train_handlers=[handler]).state.output
    handler.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert {name: events.Scalars(name)[-1].value for name in output} == pytest.approx(output)
    assert [scalar.step for scalar in events.Scalars("generator/l1")] == [1, 2]


def test_training_continues_when_run_again_with_more_epochs() -> None:
    straight, twice = Adversaries(), Adversaries()
    trained(straight, epochs=2)
    trainer = AlternatingTrainer("cpu", 2, loader(), twice.phases())
    stop = trainer.add_event_handler(Events.EPOCH_COMPLETED(once=1), lambda engine: engine.terminate())
    trainer.run()
    stop.remove()
    trainer.run()
    torch.testing.assert_close(straight.weights(), twice.weights(), rtol=0, atol=0)
