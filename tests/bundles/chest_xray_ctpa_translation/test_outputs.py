"""What an evaluator leaves, for figures and previews."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Engine, State
from monai.data import MetaTensor
from xray2ctpa_bundle.outputs import outputs_of

from tests.bundles.chest_xray_ctpa_translation.chests import affine, chest
from transmodal.errors import InputError


def engine(output: Any, batch: Any = None) -> Engine:
    made = Engine(lambda *_: None)
    made.state = State(output=output, batch=batch)
    return made


def test_keys_come_from_the_output_and_else_from_the_batch() -> None:
    sample = chest("a", 1)
    (found,) = outputs_of(engine([{"image": sample["image"], "pred": sample["pred"] + 1}], [sample]))
    assert found.case == "a"
    assert torch.equal(found.pred, torch.as_tensor(sample["pred"] + 1))
    assert torch.equal(found.affine, affine())
    assert found.label is not None
    assert found.mask is not None
    assert not any(isinstance(part, MetaTensor) for part in found)


def test_a_case_may_have_no_true_ct_and_be_named_by_its_reader() -> None:
    sample = chest("a", 1)
    image = MetaTensor(sample["image"], meta={"case": "read"})
    (found,) = outputs_of(engine([{"image": image, "pred": sample["pred"]}]))
    assert (found.case, found.label, found.mask) == ("read", None, None)


def test_of_mean_and_deviation_the_mean_is_taken() -> None:
    sample = chest("a", 1)
    both = MetaTensor(torch.cat([sample["pred"].as_tensor(), torch.zeros(1, 8, 16, 16)]), affine=affine())
    (found,) = outputs_of(engine([{"image": sample["image"], "pred": both}]))
    assert torch.equal(found.pred, torch.as_tensor(sample["pred"]))


def test_a_result_without_a_place_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"case without a name: found the keys image, pred; wanted a .* 'pred' that knows"
    ):
        outputs_of(engine([{"image": torch.zeros(1, 4, 4), "pred": torch.zeros(1, 2, 4, 4)}]))


def test_a_batch_that_was_not_decollated_is_refused() -> None:
    with pytest.raises(InputError, match="found an output of type dict; wanted a list with a dictionary for each case"):
        outputs_of(engine({"pred": torch.zeros(2, 1, 4, 4, 4)}))
