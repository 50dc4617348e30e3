"""Resuming: bit for bit what an uninterrupted run does, whole files, and clear refusals."""

from __future__ import annotations

import copy
import logging
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.handlers import LrScheduleHandler, MeanAbsoluteError, ValidationHandler, from_engine
from monai.transforms import RandGaussianNoised
from torch import Tensor, nn

from transmodal.checkpoints import write_checkpoint
from transmodal.data import ImagePool
from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.handlers import BestWeights, EMAHandler, LastWeights, Resume, training_state
from transmodal.schedulers import LinearDecay


class Training:
    """A whole small adversarial training, as a configuration would build it, in ``folder``."""

    def __init__(self, folder: Path, epochs: int = 4, channels: int = 2, accumulation_steps: int = 1, **options: Any):
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)
        self.generator = nn.Sequential(nn.Conv2d(1, channels, 1), nn.Dropout(0.5), nn.Conv2d(channels, 1, 1))
        self.discriminator = nn.Conv2d(1, 1, 3)
        self.average = copy.deepcopy(self.generator)
        self.pool = ImagePool(size=2)
        optimizers = [torch.optim.Adam(n.parameters(), lr=0.05) for n in (self.generator, self.discriminator)]
        decays = [torch.optim.lr_scheduler.LambdaLR(optimizer, LinearDecay(1, 3).factor) for optimizer in optimizers]
        records = [{"image": torch.rand(1, 4, 4), "label": torch.rand(1, 4, 4)} for _ in range(4)]
        noisy = Dataset(records, transform=RandGaussianNoised(keys="image", prob=0.5))
        self.best = BestWeights(self.average, folder / "model.pt", "mae")
        self.validator = SupervisedEvaluator(
            device=torch.device("cpu"),
            val_data_loader=DataLoader(Dataset(records), batch_size=2),
            network=self.average,
            key_val_metric={"mae": MeanAbsoluteError(output_transform=from_engine(["pred", "label"]))},
            metric_cmp_fn=lambda current, best: current < best,
            val_handlers=[self.best],
        )
        ema = EMAHandler(self.generator, self.average, decay=0.5)
        self.state: dict[str, Any] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "ema": ema,
            "pool": self.pool,
            "generator_optimizer": optimizers[0],
            "discriminator_optimizer": optimizers[1],
            "generator_decay": decays[0],
            "discriminator_decay": decays[1],
            "best_weights": self.best,
        }
        self.path = folder / "resume.pt"
        self.resume = Resume(self.path, self.state, validator=self.validator, **options)
        self.trainer = AlternatingTrainer(
            device="cpu",
            max_epochs=epochs,
            train_data_loader=DataLoader(noisy, batch_size=1, shuffle=True),
            phases=[
                Phase(name="generator", terms=self.generator_terms, optimizer=optimizers[0]),
                Phase(name="discriminator", terms=self.discriminator_terms, optimizer=optimizers[1]),
            ],
            accumulation_steps=accumulation_steps,
            # the handler stands first and yet saves after the validation and the decay of the epoch
            train_handlers=[
                self.resume,
                ema,
                *(LrScheduleHandler(decay, print_lr=False) for decay in decays),
                ValidationHandler(interval=1, validator=self.validator),
            ],
        )

    def generator_terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        fake = self.generator(batch["image"] + 0.01 * random.random() + 0.01 * float(np.random.rand()))
        batch["fake"] = fake.detach()
        return {
            "adversarial": (self.discriminator(fake) - 1).square().mean(),
            "l1": (fake - batch["label"]).abs().mean(),
        }

    def discriminator_terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        past = self.pool.query(batch["fake"])
        real, fake = self.discriminator(batch["label"]), self.discriminator(past)
        return {"real": (real - 1).square().mean(), "fake": fake.square().mean()}

    def crash_in(self, epoch: int, iteration: int = 2) -> None:
        """Fail in the middle of an epoch, as a machine does."""

        def crash(engine: AlternatingTrainer) -> None:
            if engine.state.epoch == epoch:
                raise KeyboardInterrupt

        self.trainer.add_event_handler(Events.ITERATION_COMPLETED(every=iteration), crash)
        with pytest.raises(KeyboardInterrupt):
            self.trainer.run()

    def saved(self) -> dict[str, Any]:
        return torch.load(self.path, weights_only=True)


def assert_same(left: Any, right: Any, where: str = "") -> None:
    """Equality bit for bit of nested states."""
    assert type(left) is type(right), where
    if isinstance(left, Tensor):
        assert left.shape == right.shape, where
        assert torch.equal(left, right), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f"{where}.{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    else:
        assert left == right, where


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, accumulation_steps: int) -> None:
    straight = Training(tmp_path / "straight", accumulation_steps=accumulation_steps)
    straight.trainer.run()
    Training(tmp_path / "resumed", accumulation_steps=accumulation_steps).crash_in(epoch=3)
    resumed = Training(tmp_path / "resumed", accumulation_steps=accumulation_steps)
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    resumed.trainer.run()
    assert_same(resumed.saved(), straight.saved())
    assert_same(resumed.trainer.state.output, straight.trainer.state.output)
    best = [torch.load(tmp_path / name / "model.pt", weights_only=True) for name in ("resumed", "straight")]
    assert_same(*best)


def test_the_comparison_sees_a_training_that_went_otherwise(tmp_path: Path) -> None:
    straight, other = Training(tmp_path / "straight"), Training(tmp_path / "other")
    straight.trainer.run()
    random.seed(99)
    other.trainer.run()
    with pytest.raises(AssertionError):
        assert_same(other.saved(), straight.saved())


def test_saved_state_includes_what_the_epochs_last_handlers_did(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=1)
    training.trainer.run()
    saved = training.saved()
    assert saved["state"]["generator_decay"]["last_epoch"] == 1
    assert saved["state"]["best_weights"]["epoch"] == 1
    assert saved["validator"]["best_metric_epoch"] == 1


def test_the_validators_best_survives(tmp_path: Path) -> None:
    first = Training(tmp_path, epochs=2)
    first.trainer.run()
    second = Training(tmp_path, epochs=2)
    second.trainer.run()
    assert second.validator.state.best_metric == first.validator.state.best_metric
    assert second.best.state_dict() == first.best.state_dict()


def test_a_finished_training_says_so_and_does_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Training(tmp_path, epochs=2).trainer.run()
    before = (tmp_path / "resume.pt").read_bytes()
    again = Training(tmp_path, epochs=2)
    steps: list[int] = []
    again.trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: steps.append(engine.state.iteration))
    with caplog.at_level(logging.INFO, logger="transmodal"):
        again.trainer.run()
    assert "is of a finished training (2 of 2 epochs): nothing to do; raise max_epochs" in caplog.text
    assert steps == []
    assert (tmp_path / "resume.pt").read_bytes() == before


def test_a_finished_training_whose_weights_are_gone_does_not_end_silently(tmp_path: Path) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    (tmp_path / "model.pt").unlink()
    with pytest.raises(InputError, match=r"model.pt: found no file, though .*resume.pt is of a finished training"):
        Training(tmp_path, epochs=1).trainer.run()


def test_more_epochs_write_the_weights_that_are_gone(tmp_path: Path) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    (tmp_path / "model.pt").unlink()
    Training(tmp_path, epochs=2).trainer.run()
    assert (tmp_path / "model.pt").is_file()


def test_a_finished_training_without_validation_writes_the_weights_that_are_gone(tmp_path: Path) -> None:
    def train() -> nn.Module:
        network = nn.Linear(1, 1)
        path, optimizer = tmp_path / "model.pt", torch.optim.SGD(network.parameters(), lr=0.1)
        state = {"network": network, "best": BestWeights(network, path, "mae")}
        phase = Phase(name="g", terms=lambda batch: {"a": network.weight.sum()}, optimizer=optimizer)
        handlers = [LastWeights(network, path), Resume(tmp_path / "resume.pt", state)]
        AlternatingTrainer("cpu", 1, [{}], [phase], train_handlers=handlers).run()
        return network

    trained = train()
    (tmp_path / "model.pt").unlink()
    train()
    assert_same(dict(torch.load(tmp_path / "model.pt", weights_only=True)), dict(trained.state_dict()))


def test_more_epochs_continue_a_finished_training(tmp_path: Path) -> None:
    straight = Training(tmp_path / "straight", epochs=3)
    straight.trainer.run()
    Training(tmp_path / "longer", epochs=2).trainer.run()
    longer = Training(tmp_path / "longer", epochs=3)
    longer.trainer.run()
    assert_same(longer.saved(), straight.saved())


def test_resume_false_starts_anew(tmp_path: Path) -> None:
    Training(tmp_path, epochs=3).trainer.run()
    anew = Training(tmp_path, epochs=1, resume=False)
    anew.trainer.run()
    assert anew.saved()["epoch"] == 1


def test_interval_saves_at_multiples_and_at_the_end(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=3, interval=2)
    seen: list[int] = []
    training.trainer.add_event_handler(
        Events.EPOCH_STARTED, lambda engine: seen.append(training.saved()["epoch"] if training.path.exists() else 0)
    )
    training.trainer.run()
    assert [*seen, training.saved()["epoch"]] == [0, 0, 2, 3]


def test_a_second_run_of_the_same_trainer_goes_on_without_loading(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=4)
    stop = training.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda engine: engine.terminate())
    training.trainer.run()
    stop.remove()
    training.path.write_bytes(b"not to be read")
    training.trainer.run()
    straight = Training(tmp_path / "straight", epochs=4)
    straight.trainer.run()
    assert_same(training.saved()["state"]["generator"], straight.saved()["state"]["generator"])


def test_float16_scale_survives(tmp_path: Path) -> None:
    def build() -> AlternatingTrainer:
        weight = nn.Linear(1, 1)
        phase = Phase(
            name="w", terms=lambda b: {"w": weight.weight.sum()}, optimizer=torch.optim.SGD(weight.parameters())
        )
        handler = Resume(tmp_path / "resume.pt", {"weight": weight})
        return AlternatingTrainer("cpu", 1, [{}], [phase], amp=True, amp_dtype=torch.float16, train_handlers=[handler])

    first, second = build(), build()
    first.scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
    first.run()
    second.run()
    assert second.scaler.get_scale() == 512.0


def test_another_architecture_is_refused_with_its_keys_before_anything_changes(tmp_path: Path) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    other = Training(tmp_path, epochs=2, channels=3)
    before = other.discriminator.weight.clone()
    with pytest.raises(InputError) as caught:
        other.trainer.run()
    assert (
        "found another architecture of 'generator' (3 of another shape: 0.weight (2, 1, 1, 1) instead of (3, 1, 1, 1)"
        in (str(caught.value))
    )
    assert "to start anew remove it or set resume to false" in str(caught.value)
    assert torch.equal(other.discriminator.weight, before)


def test_missing_and_unexpected_keys_are_named(tmp_path: Path) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    other = Training(tmp_path, epochs=2)
    other.resume.state["discriminator"] = nn.Conv2d(1, 1, 3, bias=False)
    with pytest.raises(InputError, match=r"another architecture of 'discriminator' \(1 unexpected: bias\)"):
        other.trainer.run()


def test_other_names_are_refused(tmp_path: Path) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    other = Training(tmp_path, epochs=2)
    del other.resume.state["pool"]
    with pytest.raises(InputError, match=r"found states of .*'pool'.* where this training has"):
        other.trainer.run()


def test_an_optimizer_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    other = Training(tmp_path, epochs=2)
    other.resume.state["generator_optimizer"] = torch.optim.Adam(other.discriminator.parameters())
    with pytest.raises(InputError, match="found a state of 'generator_optimizer' that does not fit"):
        other.trainer.run()


@pytest.mark.parametrize("content", [b"", b"no such file format", b"PK\x03\x04 truncated"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "resume.pt").write_bytes(content)
    with pytest.raises(InputError, match="found a file that cannot be read"):
        Training(tmp_path).trainer.run()


def test_a_file_of_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "resume.pt")
    with pytest.raises(InputError, match="found a file that is no state of a training"):
        Training(tmp_path).trainer.run()


def test_an_unsafe_state_is_refused_at_the_first_save(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=2)
    training.resume.state["unsafe"] = SimpleNamespace(state_dict=lambda: Path("folder"))
    with pytest.raises(InputError, match=r"found a state_dict\(\) that cannot be loaded safely"):
        training.trainer.run()
    assert training.trainer.state.epoch == 1


def test_an_epoch_that_is_not_the_whole_loader_is_refused(tmp_path: Path) -> None:
    handler = Resume(tmp_path / "resume.pt", {})
    phase = Training(tmp_path).trainer.phases[0]
    with pytest.raises(InputError, match="train#trainer#epoch_length: found epochs of 2 iterations; wanted"):
        AlternatingTrainer("cpu", 1, [{}] * 3, [phase], epoch_length=2, train_handlers=[handler])


def test_another_number_of_iterations_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    other = Training(tmp_path, epochs=2, accumulation_steps=2)
    with caplog.at_level(logging.WARNING, logger="transmodal"):
        other.trainer.run()
    assert "is of 1 processes with 4 iterations an epoch, this training has 1 with 2" in caplog.text
    assert (other.trainer.state.epoch, other.trainer.state.iteration) == (2, 4)


def test_persistent_workers_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = Training(tmp_path)
    training.trainer.data_loader = DataLoader(Dataset([{}] * 4), num_workers=1, persistent_workers=True)
    with caplog.at_level(logging.WARNING, logger="transmodal"):
        Resume(tmp_path / "resume.pt", {}).attach(training.trainer)
    assert "persistent_workers keep random states of their own" in caplog.text


def test_a_crash_while_writing_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Training(tmp_path, epochs=1).trainer.run()
    training = Training(tmp_path, epochs=2)

    def crash(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("transmodal.files.os.replace", crash)
    with pytest.raises(KeyboardInterrupt):
        training.trainer.run()
    assert training.saved()["epoch"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "resume.pt"]


@pytest.mark.parametrize("arguments", [{"resume": "true"}, {"interval": 0}, {"interval": "1"}])
def test_arguments_that_cannot_be_meant_are_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"Resume, {next(iter(arguments))}: found"):
        Resume(tmp_path / "resume.pt", {}, **arguments)


def test_a_file_of_other_settings_is_refused_by_what_differs(tmp_path: Path) -> None:
    def resume(**settings: Any) -> Resume:
        return Resume(tmp_path / "resume.pt", {}, settings=settings)

    def train(handler: Resume, epochs: int) -> None:
        weight = nn.Parameter(torch.tensor(3.0))
        phase = Phase(name="g", terms=lambda batch: {"a": weight * 1.0}, optimizer=torch.optim.SGD([weight], lr=0.1))
        AlternatingTrainer("cpu", epochs, [{}], [phase], train_handlers=[handler]).run()

    train(resume(source="mr", pixdim=[1.0, 1.0]), 1)
    train(resume(source="mr", pixdim=[1.0, 1.0]), 2)
    with pytest.raises(InputError, match=r"found a training with source mr where it now is ct"):
        train(resume(source="ct", pixdim=[1.0, 1.0]), 3)


def test_a_file_of_an_earlier_version_is_resumed_and_what_it_tells_is_compared(tmp_path: Path) -> None:
    earlier = Training(tmp_path, epochs=1, settings={"rate": 0.05, "source": "mr"})
    earlier.trainer.run()
    content = earlier.saved()
    del content["settings_complete"]
    write_checkpoint(content, tmp_path / "resume.pt")
    with pytest.raises(InputError, match=r"found a training with source mr where it now is ct;"):
        Training(tmp_path, epochs=2, settings={"learning_rate": 0.05, "source": "ct"}).trainer.run()
    training = Training(tmp_path, epochs=2, settings={"learning_rate": 0.05, "source": "mr"})
    training.trainer.run()
    assert training.saved()["epoch"] == 2
    assert training.saved()["settings"] == {"learning_rate": 0.05, "source": "mr"}


def test_a_training_starts_from_states_made_elsewhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere, training = Training(tmp_path), Training(tmp_path, epochs=3)
    training.best.path.touch()
    nn.init.constant_(elsewhere.generator[0].weight, 7.0)
    write_checkpoint(training_state(elsewhere.state, epoch=3, epoch_length=9), tmp_path / "resume.pt")
    with caplog.at_level(logging.INFO):
        training.trainer.run()
    assert "is of a finished training (3 of 3 epochs)" in caplog.text
    assert torch.equal(training.generator[0].weight, elsewhere.generator[0].weight)
    assert training.trainer.state.iteration == 3 * 4


def test_states_made_elsewhere_have_no_settings_to_be_compared(tmp_path: Path) -> None:
    elsewhere, training = Training(tmp_path), Training(tmp_path, epochs=3, settings={"source": "mr"})
    training.best.path.touch()
    write_checkpoint(training_state(elsewhere.state, epoch=3, epoch_length=4), tmp_path / "resume.pt")
    training.trainer.run()
    assert training.trainer.state.epoch == 3
