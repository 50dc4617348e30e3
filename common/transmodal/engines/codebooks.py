"""What an objective tells of the codebook that it trains."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["CodebookDiagnostics", "use_of_codes"]


class CodebookDiagnostics:
    """An objective whose ``diagnostics`` tell of the latest batch what :func:`use_of_codes` found."""

    diagnostics: dict[str, Tensor]

    def with_diagnostics(self, output: Mapping[str, float]) -> dict[str, float]:
        """The trainer's losses and the diagnostics: an ``output_transform`` for ``transmodal.handlers.EpochLosses``."""
        return {**output, **{f"codebook/{name}": float(value) for name, value in self.diagnostics.items()}}


@torch.no_grad()
def use_of_codes(counts: Tensor) -> dict[str, Tensor]:
    """How many codes a batch uses, and the perplexity of their shares.

    Args:
        counts: how often each of the codes that are used is, (N,).
    Returns:
        ``used``, N; ``perplexity``, exp of the entropy of the shares: N if all are used equally often.
    """
    shares = counts / counts.sum()
    return {"used": shares.new_tensor(len(counts)), "perplexity": (-(shares * shares.log()).sum()).exp()}
