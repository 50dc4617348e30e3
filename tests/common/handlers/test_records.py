"""Reading an evaluator: keys from output or batch, checked grids, plain tensors."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor

from tests.common.handlers.evaluation import LPS, evaluate, paired
from transmodal.errors import InputError
from transmodal.handlers.records import CaseRecord, case_records, gathered, samples_of


class Reader:
    """Keeps the records of all iterations."""

    def __init__(self, **keys: object) -> None:
        self.records: list[CaseRecord] = []
        self.keys = keys

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.read)

    def read(self, engine: Engine) -> None:
        self.records.extend(case_records(engine, **self.keys))


def read(*cases: dict[str, object], keys: dict[str, object] | None = None, **arguments: object) -> list[CaseRecord]:
    reader = Reader(**keys or {})
    evaluate(cases, [reader], **arguments)
    return reader.records


def test_every_case_of_every_batch_is_one_record() -> None:
    assert [record.case for record in read(*(paired(name) for name in "abc"))] == ["a", "b", "c"]


def test_keys_the_engine_does_not_carry_over_come_from_the_batch() -> None:
    case = paired("a")
    record = read(case)[0]
    torch.testing.assert_close(record.mask, case["mask"].as_tensor())
    torch.testing.assert_close(record.source, case["source"].as_tensor())


def test_images_are_plain_tensors_and_the_affine_travels_apart() -> None:
    record = read(paired("a"))[0]
    assert not isinstance(record.pred, MetaTensor)
    torch.testing.assert_close(record.affine, LPS)


def test_source_is_optional() -> None:
    case = paired("a")
    del case["source"]
    assert read(case)[0].source is None


@pytest.mark.parametrize("key", ["mask"])
def test_missing_key_is_named(key: str) -> None:
    case = paired("a")
    del case[key]
    with pytest.raises(InputError, match=f"wanted also {key}"):
        read(case)


def test_prediction_on_another_grid_is_refused() -> None:
    def cropped(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {**sample, "pred": sample["pred"][..., 1:]}

    with pytest.raises(InputError, match=r"case a: found other shapes: prediction \(20, 18, 8\), target \(20, 18, 9\)"):
        read(paired("a"), postprocessing=cropped)


def test_prediction_at_another_position_is_refused() -> None:
    def moved(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {**sample, "pred": MetaTensor(sample["pred"].as_tensor(), affine=torch.eye(4))}

    with pytest.raises(InputError, match="equal shapes at different positions"):
        read(paired("a"), postprocessing=moved)


def test_affines_that_files_round_differently_are_one_position() -> None:
    def rounded(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        affine = LPS.clone()
        affine[:3] += 1e-3
        return {**sample, "pred": MetaTensor(sample["pred"].as_tensor(), affine=affine)}

    assert len(read(paired("a"), postprocessing=rounded)) == 1


def test_slight_turn_that_moves_the_far_end_is_refused() -> None:
    def turned(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        affine = LPS.clone()
        affine[0, 1] = 0.05  # 1 mm at the far end, half a voxel
        return {**sample, "pred": MetaTensor(sample["pred"].as_tensor(), affine=affine)}

    with pytest.raises(InputError, match="equal shapes at different positions"):
        read(paired("a"), postprocessing=turned)


def test_source_on_another_grid_is_refused() -> None:
    case = paired("a")
    case["source"] = case["source"][:, 1:]
    with pytest.raises(InputError, match=r"source \(19, 18, 9\)"):
        read(case)


def test_source_may_have_several_channels() -> None:
    case = paired("a")
    case["source"] = torch.cat([case["source"]] * 3)
    assert read(case)[0].source.shape == (3, 20, 18, 9)


def test_batch_that_was_not_decollated_is_refused() -> None:
    with pytest.raises(InputError, match="decollate"):
        read(paired("a"), decollate=False)


def test_one_process_gathers_its_own_share() -> None:
    assert gathered({"a": 1}) == [{"a": 1}]


def test_a_case_without_a_name_is_called_as_its_reader_called_it() -> None:
    case = paired("a")
    del case["case"]
    case["label"].meta["case"] = "read"
    assert read(case)[0].case == "read"


def test_regions_and_deviation_are_read_where_a_case_has_them() -> None:
    whole, bare = paired("a"), paired("b")
    whole["spot"], whole["pred_std"] = whole["mask"] * -3.5, whole["mask"] * 2
    keys = {"regions": {"lesion": "spot"}, "deviation": "pred_std"}
    (first,), (second,) = read(whole, keys=keys), read(bare, keys=keys)
    torch.testing.assert_close(first.regions["lesion"], first.mask)  # any value but zero counts
    torch.testing.assert_close(first.deviation, 2 * first.mask)
    assert (second.regions, second.deviation) == ({}, None)


def test_region_of_several_channels_is_their_union() -> None:
    case = paired("a")
    case["lesion"] = torch.cat([case["mask"] * 0, case["mask"]])
    (record,) = read(case, keys={"regions": {"lesion": "lesion"}})
    torch.testing.assert_close(record.regions["lesion"], record.mask)


@pytest.mark.parametrize(("key", "name"), [("lesion", "region lesion"), ("pred_std", "deviation")])
def test_region_or_deviation_on_another_grid_is_refused(key: str, name: str) -> None:
    case = paired("a")
    case[key] = case["mask"][..., 1:]
    with pytest.raises(InputError, match=rf"{name} \(20, 18, 8\)"):
        read(case, keys={"regions": {"lesion": "lesion"}, "deviation": "pred_std"})


def after(output: object, batch: object) -> Engine:
    engine = Engine(lambda engine, batch: None)
    engine.state.output, engine.state.batch = output, batch
    return engine


def test_a_sample_is_what_came_in_and_over_it_what_came_out() -> None:
    engine = after([{"label": 1, "pred": 2}, {"label": 3}], [{"case": "a", "label": 0}, {"case": "b"}])
    assert samples_of(engine) == [{"case": "a", "label": 1, "pred": 2}, {"case": "b", "label": 3}]


def test_an_input_that_was_no_list_of_samples_is_left_out() -> None:
    assert samples_of(after([{"pred": 2}], {"image": torch.zeros(1)})) == [{"pred": 2}]


def test_an_output_that_is_no_list_of_samples_is_refused() -> None:
    with pytest.raises(InputError, match="found an output of type dict; wanted a list with a dictionary for each case"):
        samples_of(after({"pred": 2}, [{"case": "a"}]))
