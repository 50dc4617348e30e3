"""Whose turn it is in adversarial training: a method's objective and the phases that minimise its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from transmodal.errors import InputError, require_integer, require_number

Batch = dict[str, Any]
Terms = dict[str, Tensor]


class Objective(Protocol):
    """What a method minimises: named loss terms, without an optimizer, a device or a loop.

    Every phase of one iteration is handed the same batch dictionary, so an objective may leave in it what a later phase
    needs again (detached), for example the fakes that the discriminators are to judge.
    """

    def discriminator_terms(self, batch: Batch) -> Terms:
        """Scalar terms, each already averaged over the batch and weighted; their sum is minimised."""
        ...

    def generator_terms(self, batch: Batch) -> Terms:
        """Scalar terms, each already averaged over the batch and weighted; their sum is minimised."""
        ...


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One optimizer's turn within an iteration.

    Args:
        name: how the phase is called in logs, such as ``"generator"``; a term is logged as ``<phase>/<term>``.
        terms: maps a batch to named scalar loss terms, such as ``objective.generator_terms``.
        optimizer: what steps on the sum of the terms.
        every: run at each iteration whose number, counted from 1, is a multiple of this (StarGAN's generator: 5).
        max_grad_norm: clip the joint L2 norm of the optimizer's gradients to this before the step; None leaves them.
    """

    name: str
    terms: Callable[[Batch], Terms]
    optimizer: Optimizer
    every: int = 1
    max_grad_norm: float | None = None

    def __post_init__(self) -> None:
        where = f"phase '{self.name}'"
        require_integer(f"{where}, every", self.every)
        limit = self.max_grad_norm
        if limit is not None and (isinstance(limit, str | bool) or not limit > 0):
            raise InputError(
                f"{where}, max_grad_norm",
                found=repr(limit),
                wanted="a positive number or null",
                remedy="give the largest gradient norm a step may have, for example 1.0, or null for no clipping",
            )

    @property
    def parameters(self) -> list[Parameter]:
        """Every parameter the optimizer steps."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


@contextmanager
def frozen(parameters: Iterable[Parameter]) -> Iterator[None]:
    """Within the block no gradient is computed for these parameters; those already frozen stay frozen after it."""
    switched = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in switched:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in switched:
            parameter.requires_grad_(True)


def require_weight(where: str, value: float) -> None:
    """Refuse what cannot be the weight of a loss term.

    Raises:
        InputError: naming ``where``, unless ``value`` is a finite number of 0 or more.
    """
    require_number(where, value, "give a number without quotes; 0 takes the term out")
