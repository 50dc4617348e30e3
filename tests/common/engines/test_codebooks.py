"""How much of a codebook is used, and how the trainer's losses are told with it."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from transmodal.engines.codebooks import CodebookDiagnostics, use_of_codes


def test_codes_that_are_used_equally_often_have_their_number_as_perplexity() -> None:
    use = use_of_codes(torch.tensor([7, 7, 7]))
    assert (float(use["used"]), use["perplexity"].dtype) == (3, torch.float32)
    assert_close(use["perplexity"], torch.tensor(3.0))


def test_a_code_that_is_used_more_lowers_the_perplexity() -> None:
    """exp of the entropy of 3/4 and 1/4: 4 / 3^(3/4)."""
    assert_close(use_of_codes(torch.tensor([3, 1]))["perplexity"], torch.tensor(4 / 3**0.75))


def test_diagnostics_are_added_to_the_losses() -> None:
    objective = CodebookDiagnostics()
    objective.diagnostics = {"used": torch.tensor(3.0)}
    assert objective.with_diagnostics({"loss": 0.5}) == {"loss": 0.5, "codebook/used": 3.0}
