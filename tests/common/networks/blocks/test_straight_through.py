"""Quantised latents that still learn."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from transmodal.networks.blocks import straight_through


def test_values_are_the_codes_and_the_gradient_goes_to_the_latents() -> None:
    z, codes = torch.tensor([0.4, 1.7], requires_grad=True), torch.tensor([0.0, 2.0], requires_grad=True)
    quantised = straight_through(z, codes)
    assert_close(quantised, codes)
    (quantised * torch.tensor([3.0, 5.0])).sum().backward()
    assert_close(z.grad, torch.tensor([3.0, 5.0]))
    assert codes.grad is None
