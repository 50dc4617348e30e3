"""Resuming a training to the identical state: what follows is bit for bit what an uninterrupted run would have done."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, Protocol

import torch
from ignite.engine import Events
from monai.data.dataloader import DataLoader
from monai.data.utils import set_rnd
from monai.engines.workflow import Workflow
from torch import nn

from transmodal.checkpoints import write_checkpoint
from transmodal.engines.batches import Windows
from transmodal.errors import InputError, require_flag, require_integer
from transmodal.handlers.random_state import random_state, set_random_state
from transmodal.handlers.records import gathered
from transmodal.handlers.settings import COMPLETE, changes
from transmodal.handlers.weights import check_written, unwrapped

logger = logging.getLogger(__name__)


class Stateful(Protocol):
    """Whatever can be saved and restored: networks, optimizers, schedulers, pools, handlers."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


class Resume:
    """Saves the whole state of a training at the end of epochs, and restores it when the training starts again.

    Saved are everything named in ``state``, the epoch, the gradient scaler, the best metric of the validator, and the
    random states of Python, NumPy and PyTorch (CPU and the training's CUDA device). The random states, and objects
    whose ``per_rank`` attribute is true (image pools), are saved for every rank of a distributed training.

    The handler saves after all other handlers of the epoch's end, wherever it stands in the list; it restores at the
    start, so list it after handlers that load initial weights. Attach it on every rank; rank 0 writes. At each epoch's
    start it seeds the random transforms of a MONAI loader from PyTorch's random state, because without worker processes
    they would otherwise keep a state of their own.

    Args:
        path: the file, outside ``models/``, on storage that all ranks see.
        state: name -> network, optimizer, learning rate scheduler, pool, average, `BestWeights`, ...
        validator: the evaluator whose best metric is to survive.
        settings: what the state depends on, by its ids, see `training_settings`; a file with others is refused.
        interval: save each time so many epochs are complete, and at the end of the training.
        resume: false starts anew and overwrites the file.
    Raises:
        InputError: if an epoch is not the whole loader, the file is of another training, or a finished one's weights
            are gone.
    """

    def __init__(
        self,
        path: str | Path,
        state: Mapping[str, Stateful],
        validator: Workflow | None = None,
        interval: int = 1,
        resume: bool = True,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        require_flag("Resume, resume", resume)
        require_integer("Resume, interval", interval, 1, "give a number of epochs")
        self.path, self.validator, self.interval, self.resume = Path(path), validator, interval, resume
        self.settings = dict(settings or {})
        self.state = {k: unwrapped(v) if isinstance(v, nn.Module) else v for k, v in state.items()}
        self._proven = False

    def attach(self, engine: Workflow) -> None:
        """Join the trainer whose state this is."""
        loader = engine.data_loader
        if not isinstance(loader, Sized) or engine.state.epoch_length != len(loader):
            raise InputError(
                "train#trainer#epoch_length",
                found=f"epochs of {engine.state.epoch_length} iterations",
                wanted="epochs of the whole loader, so that an epoch's end is a point to resume from",
                remedy="leave epoch_length out and give the data set or its sampler the length an epoch is to have",
            )
        if getattr(_batches(loader), "persistent_workers", False):
            logger.warning(
                "persistent_workers keep random states of their own: a resumed training augments differently"
            )
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, _seed_transforms)

    def _start(self, engine: Workflow) -> None:
        if not engine.has_event_handler(self._save):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)  # now, and so after all that is attached
        if engine.state.iteration > 0:
            return  # this process has trained already and merely goes on
        if not self.resume or not self._file_is_there():
            logger.info("training starts from the beginning; its state will be in %s", self.path)
            return
        self._load(engine)
        if engine.state.epoch >= engine.state.max_epochs:
            logger.info(
                "%s is of a finished training (%s of %s epochs): nothing to do; "
                "raise max_epochs to train on, or remove the file to start anew",
                self.path,
                engine.state.epoch,
                engine.state.max_epochs,
            )
            engine.add_event_handler(Events.COMPLETED, check_written, self.state.values(), self.path)
        else:
            logger.info("training resumes after epoch %s, from %s", engine.state.epoch, self.path)

    def _file_is_there(self) -> bool:
        there = self.path.is_file()
        answers = set(gathered(there))
        if len(answers) > 1:
            raise InputError(
                self.path,
                found="the file on some ranks only",
                wanted="storage that all ranks see",
                remedy="put output_dir on shared storage, or copy the file to every node",
            )
        return there

    def _save(self, engine: Workflow) -> None:
        epoch = engine.state.epoch
        if epoch % self.interval and epoch != engine.state.max_epochs:
            return
        scaler = getattr(engine, "scaler", None)
        mine = {name: item.state_dict() for name, item in self.state.items() if _per_rank(item)}
        ranks = gathered({"random": random_state(engine.state.device), "state": mine})
        if engine.state.rank != 0:
            return
        content = training_state(self.state, epoch, engine.state.epoch_length, self.settings, ranks)
        content["scaler"] = None if scaler is None else scaler.state_dict()
        content["validator"] = None if self.validator is None else _best_of(self.validator)
        write_checkpoint(content, self.path)
        if not self._proven:  # better to learn of an unreadable state now than when it is needed
            self._prove()
            self._proven = True

    def _prove(self) -> None:
        try:
            torch.load(self.path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise InputError(
                f"Resume, state ({', '.join(self.state)})",
                found=f"a state_dict() that cannot be loaded safely ({_first_line(error)})",
                wanted="tensors, numbers, strings, and lists and dictionaries of them",
                remedy="name only objects whose state_dict() holds nothing else",
            ) from error

    def _read(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            raise self._refusal(f"a file that cannot be read ({_first_line(error)})") from error
        if not isinstance(content, dict) or not {"epoch", "epoch_length", "state", "ranks"} <= content.keys():
            raise self._refusal("a file that is no state of a training")
        return content

    def _load(self, engine: Workflow) -> None:
        content = self._read()
        self._check(content)
        scaler = getattr(engine, "scaler", None)
        rank = engine.state.rank
        own = content["ranks"][rank] if rank < len(content["ranks"]) else {"state": {}}
        for name, saved in {**content["state"], **own["state"]}.items():
            try:
                self.state[name].load_state_dict(saved)
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                raise self._refusal(f"a state of '{name}' that does not fit ({_first_line(error)})") from error
        if scaler is not None and content["scaler"]:
            scaler.load_state_dict(content["scaler"])
        if self.validator is not None and content["validator"]:
            self.validator.state.best_metric = content["validator"]["best_metric"]
            self.validator.state.best_metric_epoch = content["validator"]["best_metric_epoch"]
        then, now = (len(content["ranks"]), content["epoch_length"]), (len(gathered(rank)), engine.state.epoch_length)
        if then != now:
            logger.warning(
                "%s is of %s processes with %s iterations an epoch, this training has %s "
                "with %s: it goes on from the same weights, but not as the other would have",
                self.path,
                then[0],
                then[1],
                now[0],
                now[1],
            )
        engine.state.epoch = content["epoch"]
        engine.state.iteration = content["epoch"] * engine.state.epoch_length
        if "random" in own:
            set_random_state(own["random"], engine.state.device)

    def _check(self, content: Mapping[str, Any]) -> None:
        """Refuse a file of another training before anything is changed."""
        if changed := changes(content, self.settings, self.path):
            raise self._refusal(f"a training with {', '.join(changed)}")
        saved = {**content["state"], **content["ranks"][0]["state"]}
        if saved.keys() != self.state.keys():
            raise self._refusal(f"states of {sorted(saved)} where this training has {sorted(self.state)}")
        for name, item in self.state.items():
            if isinstance(item, nn.Module) and (difference := _difference(item.state_dict(), saved[name])):
                raise self._refusal(f"another architecture of '{name}' ({difference})")

    def _refusal(self, found: str) -> InputError:
        return InputError(
            self.path,
            found=found,
            wanted="the state of a training of this configuration",
            remedy="resume with the configuration that wrote the file; to start anew remove it or set resume to false",
        )


def training_state(
    state: Mapping[str, Stateful],
    epoch: int,
    epoch_length: int,
    settings: Mapping[str, Any] | None = None,
    ranks: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """What :class:`Resume` reads from its file; by it a training can also start from states made elsewhere.

    Args:
        state: as for :class:`Resume`.
        epoch: complete epochs.
        epoch_length: iterations of each.
        settings: as for :class:`Resume`; None of a training that has none of them to be compared.
        ranks: of each process its random state and the states that it has by itself; by default one process, its random
            state left open.
    """
    own = {name: item.state_dict() for name, item in state.items() if _per_rank(item)}
    return {
        "epoch": epoch,
        "settings": None if settings is None else dict(settings),
        COMPLETE: True,
        "epoch_length": epoch_length,
        "state": {name: item.state_dict() for name, item in state.items() if not _per_rank(item)},
        "scaler": None,
        "validator": None,
        "ranks": [{"state": own}] if ranks is None else list(ranks),
    }


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _batches(loader: Any) -> Any:
    return loader.loader if isinstance(loader, Windows) else loader


def _seed_transforms(engine: Workflow) -> None:
    loader = _batches(engine.data_loader)
    if isinstance(loader, DataLoader):
        set_rnd(loader.dataset, seed=int(torch.randint(2**31, ())))


def _per_rank(item: Stateful) -> bool:
    return getattr(item, "per_rank", False) is True


def _best_of(validator: Workflow) -> dict[str, float | int]:
    state = validator.state
    return {"best_metric": float(state.best_metric), "best_metric_epoch": int(state.best_metric_epoch)}


def _difference(present: Mapping[str, Any], saved: Mapping[str, Any]) -> str:
    """How two state dicts differ in keys and shapes, shortly; empty if they do not."""
    kinds = {
        "missing": [key for key in present if key not in saved],
        "unexpected": [key for key in saved if key not in present],
        "of another shape": [
            f"{key} {_shape(saved[key])} instead of {_shape(present[key])}"
            for key in present
            if key in saved and _shape(present[key]) != _shape(saved[key])
        ],
    }
    return "; ".join(f"{len(keys)} {kind}: {', '.join(keys[:3])}" for kind, keys in kinds.items() if keys)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))
