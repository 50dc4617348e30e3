"""One number per direction, as the smallest network that tells the directions apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gain(nn.Module):
    """Multiply by a learned number, which starts at ``start``."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([start]))

    def forward(self, image: Tensor) -> Tensor:
        return image * self.value


class Translators(nn.Module):
    """Both directions; ``target`` chooses at each call."""

    def __init__(self, ct: float, mr: float) -> None:
        super().__init__()
        self.ct, self.mr = Gain(ct), Gain(mr)

    def forward(self, image: Tensor, target: str = "ct") -> Tensor:
        return self.ct(image) if target == "ct" else self.mr(image)
