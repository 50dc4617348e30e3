"""The engine of adversarial training: several optimizers take turns on one batch.

Source: Goodfellow et al. 2014, arXiv:1406.2661, Algorithm 1, for any number of phases in any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from monai.engines.trainer import Trainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_

from transmodal.engines.batches import Windows, length_of, move_to_device
from transmodal.engines.phases import Batch, Phase, Terms, frozen
from transmodal.errors import InputError, require_flag, require_integer


class AlternatingTrainer(Trainer):
    """A MONAI trainer whose iteration runs phases in the order of the list, each with its own optimizer.

    CycleGAN lists the generators first, SynDiff and StarGAN the discriminators. While a phase runs, what only the other
    phases train has ``requires_grad`` off: gradients flow *through* those networks, none is computed *for* them.

    One iteration is one turn of the phases. With ``accumulation_steps`` of n it takes n batches of the loader and each
    phase averages the gradients of all n before it steps, so n batches do what one batch n times as large would do (for
    terms that are means over the batch); ``engine.state.batch`` is then a list. An epoch's last list may be shorter.

    ``engine.state.output`` is ``{"<phase>/<term>": float}`` with the terms of the phases that ran. Events of
    ``monai.engines.utils.IterationEvents``: around each phase ``INNER_ITERATION_STARTED`` and ``_COMPLETED``, within it
    ``LOSS_COMPLETED`` after each batch's terms and ``BACKWARD_COMPLETED`` when its gradients are complete, and
    ``MODEL_COMPLETED`` last; ``engine.state.phase`` holds the phase's name.

    Args:
        device: where to train, such as ``"cpu"`` or ``"cuda:0"``.
        max_epochs: how many epochs to train.
        train_data_loader: yields dictionaries of batches.
        phases: whose turn comes when.
        epoch_length: iterations in an epoch; None means the whole loader.
        prepare_batch: called as ``prepare_batch(batch, device, non_blocking, **to_kwargs)``, returns the dictionary
            that the phases' terms get; default `move_to_device`.
        non_blocking: copy from pinned memory without waiting.
        amp: compute the terms under ``torch.autocast`` of the device.
        amp_dtype: ``torch.bfloat16``, or ``torch.float16``, whose gradients are then scaled to keep small ones from
            vanishing.
        accumulation_steps: batches per iteration, see above.
        key_train_metric, additional_metrics, metric_cmp_fn: as in ``monai.engines.Trainer``.
        train_handlers: attached in this order, after everything else is in place.
        to_kwargs: more arguments for ``prepare_batch``.
    Raises:
        InputError: for arguments that cannot be meant, and during training for a loss that is not finite.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        phases: Sequence[Phase],
        epoch_length: int | None = None,
        prepare_batch: Callable[..., Batch] | None = None,
        non_blocking: bool = False,
        amp: bool = False,
        amp_dtype: torch.dtype = torch.bfloat16,
        accumulation_steps: int = 1,
        key_train_metric: dict[str, Any] | None = None,
        additional_metrics: dict[str, Any] | None = None,
        metric_cmp_fn: Callable[[Any, Any], bool] = default_metric_cmp_fn,
        train_handlers: Sequence[Any] | None = None,
        to_kwargs: dict[str, Any] | None = None,
    ) -> None:
        require_integer("train#trainer#max_epochs", max_epochs)
        require_integer("train#trainer#accumulation_steps", accumulation_steps)
        _check_precision(amp, amp_dtype)
        _check_phases(phases)
        loader = train_data_loader if accumulation_steps == 1 else Windows(train_data_loader, accumulation_steps)
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            data_loader=train_data_loader,  # the plain one, so that MONAI finds the sampler whose epoch it has to set
            epoch_length=length_of(loader) if epoch_length is None else epoch_length,
            non_blocking=non_blocking,
            prepare_batch=move_to_device if prepare_batch is None else prepare_batch,
            key_metric=key_train_metric,
            additional_metrics=additional_metrics,
            metric_cmp_fn=metric_cmp_fn,
            amp=amp,
            decollate=False,
            to_kwargs=to_kwargs,
        )
        self.data_loader = loader
        self.phases = tuple(phases)
        self.amp_dtype = amp_dtype
        self.accumulation_steps = accumulation_steps
        self.state.phase = None
        if amp and amp_dtype == torch.float16:  # bfloat16 has the range of float32 and needs no scaling
            self.scaler = torch.amp.GradScaler(self.state.device.type)  # type: ignore[assignment]
        if train_handlers is not None:
            self._register_handlers(train_handlers)

    def run(self) -> None:  # type: ignore[override]
        """Train until ``max_epochs``, without the CUDA gradient scaler ``Trainer.run`` makes whatever the device."""
        super(Trainer, self).run()

    def _iteration(self, engine: AlternatingTrainer, batchdata: Any) -> dict[str, float]:
        """Give each phase its turn; returns the named losses, read from the device once."""
        window = batchdata if self.accumulation_steps > 1 else [batchdata]
        batches = [self.prepare_batch(item, self.state.device, self.non_blocking, **self.to_kwargs) for item in window]
        names: list[str] = []
        values: list[Tensor] = []
        for phase in self.phases:
            if self.state.iteration % phase.every:
                continue
            losses = self._turn(phase, batches)
            names += [f"{phase.name}/{term}" for term in losses]
            values += losses.values()
        if self.scaler is not None and values:
            self.scaler.update()
        output = dict(zip(names, torch.stack(values).tolist(), strict=True)) if values else {}
        _check_finite(output, iteration=self.state.iteration, epoch=self.state.epoch, batches=batches)
        self.state.output = output
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return output

    def _turn(self, phase: Phase, batches: Sequence[Batch]) -> Terms:
        """Average one phase's gradients over the batches and step; returns the detached mean of each term."""
        self.state.phase = phase.name
        self.fire_event(IterationEvents.INNER_ITERATION_STARTED)
        phase.optimizer.zero_grad(set_to_none=True)
        losses: Terms = {}
        with frozen(self._parameters_of_others(phase)):
            for batch in batches:
                with torch.autocast(self.state.device.type, dtype=self.amp_dtype, enabled=self.amp):
                    terms = phase.terms(batch)
                _check_named(phase, terms)
                shares = {name: _scalar(phase, name, term) / len(batches) for name, term in terms.items()}
                self.fire_event(IterationEvents.LOSS_COMPLETED)
                total = torch.stack(list(shares.values())).sum()
                (total if self.scaler is None else self.scaler.scale(total)).backward()  # type: ignore[no-untyped-call]
                for name, share in shares.items():
                    losses[name] = losses[name] + share.detach() if name in losses else share.detach()
        self.fire_event(IterationEvents.BACKWARD_COMPLETED)
        self._step(phase)
        self.fire_event(IterationEvents.INNER_ITERATION_COMPLETED)
        return losses

    def _step(self, phase: Phase) -> None:
        """Clip the true, unscaled gradients, then step."""
        if phase.max_grad_norm is not None:
            if self.scaler is not None:
                self.scaler.unscale_(phase.optimizer)
            clip_grad_norm_(phase.parameters, phase.max_grad_norm)
        if self.scaler is None:
            phase.optimizer.step()
        else:
            self.scaler.step(phase.optimizer)

    def _parameters_of_others(self, phase: Phase) -> list[Parameter]:
        own = set(phase.parameters)
        return [parameter for other in self.phases for parameter in other.parameters if parameter not in own]


def named_losses(output: Mapping[str, float]) -> dict[str, float]:
    """The ``output_transform`` with which MONAI's and ignite's handlers show every loss of an `AlternatingTrainer`."""
    return dict(output)


def _check_named(phase: Phase, terms: Terms) -> None:
    if not isinstance(terms, Mapping) or not terms:
        raise InputError(
            f"the terms of phase '{phase.name}'",
            found=repr(terms) if isinstance(terms, Mapping) else type(terms).__name__,
            wanted="a dictionary of one or more named loss terms",
            remedy='return a dictionary such as {"adversarial": loss} from the objective',
        )


def _scalar(phase: Phase, name: str, term: Tensor) -> Tensor:
    """A term as a 0-dimensional tensor of at least single precision."""
    if term.numel() != 1:
        raise InputError(
            f"term '{name}' of phase '{phase.name}'",
            found=f"shape {tuple(term.shape)}",
            wanted="one number",
            remedy="average the term over the batch and the image before returning it",
        )
    return term.reshape(()).to(torch.promote_types(term.dtype, torch.float32))


def _check_finite(losses: Mapping[str, float], *, iteration: int, epoch: int, batches: Sequence[Batch]) -> None:
    broken = {name: value for name, value in losses.items() if not math.isfinite(value)}
    if broken:
        cases = [str(case) for batch in batches for case in _listed(batch.get("case", []))]
        raise InputError(
            f"training loss '{next(iter(broken))}' at iteration {iteration} of epoch {epoch}",
            found=", ".join(f"{name} = {value}" for name, value in broken.items()),
            wanted="finite losses",
            remedy=f"look at the images of this batch ({', '.join(cases) or 'unnamed'}); lower the learning rate, "
            "set max_grad_norm, or switch amp off; then resume from the last epoch",
        )


def _check_phases(phases: Sequence[Phase]) -> None:
    names = [phase.name for phase in phases]
    if not names or len(set(names)) < len(names):
        raise InputError(
            "train#trainer#phases",
            found=f"phases named {names}",
            wanted="one or more phases, each with its own name",
            remedy="list a transmodal.engines.Phase for each optimizer and name it for what it trains",
        )


def _check_precision(amp: bool, amp_dtype: torch.dtype) -> None:
    require_flag("train#trainer#amp", amp, "write --amp True or --amp False, with a capital letter")
    if amp_dtype not in (torch.bfloat16, torch.float16):
        raise InputError(
            "train#trainer#amp_dtype",
            found=repr(amp_dtype),
            wanted="torch.bfloat16 or torch.float16",
            remedy='write "$torch.bfloat16"; for full precision set amp to false',
        )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
