"""Codes that stand for latents: each follows the latents nearest to it, and one that nothing is near starts again.

Source: A. van den Oord et al., Neural discrete representation learning, NeurIPS 2017, arXiv:1711.00937 (appendix A.1);
restarts as in P. Dhariwal et al., Jukebox, 2020, arXiv:2005.00341.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.errors import InputError

__all__ = ["Codebook"]

SMOOTHING = 1e-7
"""Added to how often each code is used, so that the mean of a code that is not used stays finite."""
DISTANCES = 1 << 24
"""Held at a time, 64 MB in float32."""


class Codebook(nn.Module):
    """Codes trained by moving averages: of how many latents are nearest to each, and of their sum.

    With the first batch of a training the codes are drawn from its latents; that it happened is part of the state dict,
    so that a resumed training keeps its codes. A code whose average use falls below ``restart`` becomes a latent of the
    batch. Other than published, its averages then start again too; with those of the old code the next update would
    take most of the restart back. Processes of a distributed training count together and hold the same codes.

    Args:
        num_codes: K.
        embedding_dim: numbers of a code, E.
        decay: of the averages, in [0, 1).
        restart: least average use of a code, in latents per batch; 0 for none.
    Attributes:
        codes: (K, E).
        uses: average number of latents of a batch nearest to each code, (K,).
        sums: average sum of those latents, (K, E).
        fresh: whether the codes still wait for the first batch.
    Raises:
        InputError: for arguments that cannot be meant.
    """

    codes: Tensor
    uses: Tensor
    sums: Tensor
    fresh: Tensor

    def __init__(self, num_codes: int, embedding_dim: int, decay: float = 0.99, restart: float = 1.0) -> None:
        super().__init__()
        _check_arguments(num_codes, embedding_dim, decay, restart)
        self.decay, self.restart = decay, restart
        codes = torch.randn(num_codes, embedding_dim)
        self.register_buffer("codes", codes)
        self.register_buffer("uses", torch.zeros(num_codes))
        self.register_buffer("sums", codes.clone())
        self.register_buffer("fresh", torch.ones((), dtype=torch.bool))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The code nearest to each latent; in training mode the codes follow afterwards.

        Args:
            z: latents, (B, E, …).
        Returns:
            The codes, (B, E, …), float32, without a gradient; and their numbers, (B, …), int64.
        """
        z = z.detach().float()
        if self.training and self.fresh:
            self._draw_from(z)
        numbers = self.nearest(z)
        codes = self.look_up(numbers)
        if self.training:
            self._follow(z, numbers)
        return codes, numbers

    def look_up(self, numbers: Tensor) -> Tensor:
        """Codes, (B, E, …), of these numbers, (B, …)."""
        return F.embedding(numbers, self.codes).movedim(-1, 1)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """Number of the code nearest to each latent of ``z``, (B, E, …), in float32 under autocast too: (B, …)."""
        vectors, half_squares = _vectors(z), 0.5 * self.codes.square().sum(dim=1)
        with torch.autocast(z.device.type, enabled=False):
            rows = max(1, DISTANCES // len(self.codes))
            found = [(half_squares - part @ self.codes.t()).argmin(dim=1) for part in vectors.split(rows)]
        return torch.cat(found).view(z.shape[0], *z.shape[2:])

    @torch.no_grad()
    def _draw_from(self, z: Tensor) -> None:
        """Start with codes of latents of this batch, each as if it were used once."""
        self._start_again(torch.ones_like(self.uses, dtype=torch.bool), _vectors(z))
        self.fresh.fill_(False)

    @torch.no_grad()
    def _follow(self, z: Tensor, numbers: Tensor) -> None:
        """One step of the averages, and of the codes, which are the means that follow from these."""
        vectors = _vectors(z)
        uses = torch.bincount(numbers.flatten(), minlength=len(self.codes)).to(vectors.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, numbers.flatten(), vectors)
        if _distributed():
            dist.all_reduce(uses)
            dist.all_reduce(sums)
        self.uses.lerp_(uses, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        total = self.uses.sum()
        smoothed = (self.uses + SMOOTHING) / (total + len(self.codes) * SMOOTHING) * total
        self.codes.copy_(self.sums / smoothed[:, None])
        if self.restart > 0:
            self._start_again(self.uses < self.restart, vectors)

    def _start_again(self, restarted: Tensor, vectors: Tensor) -> None:
        """Put latents of a batch in the place of the codes that ``restarted``, (K,), tells, each as if used once."""
        chosen = self._sample(vectors)
        if _distributed():
            dist.broadcast(chosen, 0)
        self.codes.copy_(torch.where(restarted[:, None], chosen, self.codes))
        self.sums.copy_(torch.where(restarted[:, None], chosen, self.sums))
        self.uses.masked_fill_(restarted, 1)

    def _sample(self, vectors: Tensor) -> Tensor:
        """K different latents of (N, E); where there are fewer they are repeated with a little noise, as published."""
        needed, width = self.codes.shape
        order = torch.randperm(len(vectors))[:needed]
        if len(vectors) >= needed:
            return vectors[order.to(vectors.device)].contiguous()
        repeated = vectors[torch.arange(needed, device=vectors.device) % len(vectors)]
        return repeated + 0.01 / width**0.5 * torch.randn(needed, width).to(vectors)

    def extra_repr(self) -> str:
        """The number of codes and of their numbers, for the printed network."""
        return f"{self.codes.shape[0]}, {self.codes.shape[1]}"


def _vectors(z: Tensor) -> Tensor:
    """Latents (B, E, …) as rows (N, E), float32."""
    return z.detach().float().movedim(1, -1).flatten(0, -2)


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _check_arguments(num_codes: int, embedding_dim: int, decay: float, restart: float) -> None:
    counts = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in (num_codes, embedding_dim))
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (decay, restart))
    if not counts or not numbers or not 0 <= decay < 1 or restart < 0:
        raise InputError(
            "Codebook",
            found=f"num_codes {num_codes!r}, embedding_dim {embedding_dim!r}, decay {decay!r}, restart {restart!r}",
            wanted="positive numbers of codes and of their numbers, a decay in [0, 1) and a restart of 0 or more",
            remedy="as published: decay 0.99, restart 1.0",
        )
