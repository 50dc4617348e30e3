"""The softplus loss: values, gradients, and logits so large that a sigmoid saturates."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing import assert_close

from transmodal.losses import SoftplusLoss

LOGITS = [-3.0, -0.5, 0.0, 2.0]


def test_terms_are_the_cross_entropy_of_both_labels() -> None:
    logits, loss = torch.randn(3, 1, 4, 5), SoftplusLoss()
    assert_close(loss.real(logits), binary_cross_entropy_with_logits(logits, torch.ones_like(logits)))
    assert_close(loss.fake(logits), binary_cross_entropy_with_logits(logits, torch.zeros_like(logits)))


def test_terms_follow_from_their_definition() -> None:
    expected = sum(-math.log(1 / (1 + math.exp(-logit))) for logit in LOGITS) / len(LOGITS)
    assert SoftplusLoss().real(torch.tensor(LOGITS)).item() == pytest.approx(expected)
    assert SoftplusLoss().fake(-torch.tensor(LOGITS)).item() == pytest.approx(expected)


def test_the_gradient_of_the_real_term_is_minus_the_doubt() -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    SoftplusLoss().real(logits).backward()
    assert_close(logits.grad, -torch.sigmoid(-logits.detach()) / len(LOGITS))


def test_the_gradient_of_the_fake_term_is_the_belief() -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    SoftplusLoss().fake(logits).backward()
    assert_close(logits.grad, torch.sigmoid(logits.detach()) / len(LOGITS))


def test_a_generator_whose_image_is_rejected_still_learns() -> None:
    logits = torch.tensor([-200.0], requires_grad=True)
    SoftplusLoss().real(logits).backward()
    assert_close(logits.grad, torch.tensor([-1.0]))


def test_large_logits_cost_what_they_are() -> None:
    assert SoftplusLoss().fake(torch.tensor([120.0, 0.0])).item() == pytest.approx((120 + math.log(2)) / 2)


def test_coarse_logits_are_averaged_in_full_precision() -> None:
    logits = torch.randn(4, 1, 30, 30).to(torch.bfloat16)
    for term in (SoftplusLoss().real, SoftplusLoss().fake):
        assert term(logits).dtype == torch.float32
        assert torch.equal(term(logits), term(logits.float()))
