"""One bundle with its weights and settings, and how its own inference is opened."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.tools.releasing.house import record_of
from translating.model import cause_of, model_of
from transmodal.errors import InputError

NAME = "ct_mr_cyclegan_translation"


@pytest.fixture
def came(tiny: Path, tmp_path: Path) -> Path:
    """A checkout whose bundle has no weights of its own, but some that come with it and need an overlay and an id."""
    bundle, folder = tmp_path / "bundles" / NAME, tmp_path / "weights" / NAME
    shutil.copytree(tiny, bundle)
    folder.mkdir(parents=True)
    (bundle / "models" / "model.pt").rename(folder / "model.pt")
    inference = json.loads((bundle / "configs" / "inference.json").read_text())
    needed = {"channels": inference["channels"]}
    (bundle / "configs" / "needed.json").write_text(json.dumps(needed))
    (bundle / "configs" / "inference.json").write_text(json.dumps({**inference, "channels": 99}))
    values = {"pixdim": [5.0, 5.0, -1.0], "slice_batch": 3}
    record = {**record_of(folder / "model.pt", NAME), "overlays": ["configs/needed.json"], "values": values}
    (folder / "weights.json").write_text(json.dumps(record))
    return bundle


def test_weights_of_another_network_are_told_before_any_case(tiny: Path) -> None:
    model_of(tiny).check()
    with pytest.raises(InputError, match=r"model\.pt: found "):
        model_of(tiny, ids={"channels": 3}).check()


def test_a_device_that_is_not_there_is_told_before_any_case(tiny: Path) -> None:
    with pytest.raises(InputError, match=r"--device nonsense: found .*; wanted a device that is there"):
        model_of(tiny, ids={"device": "nonsense"}).check()


def test_an_id_that_the_bundle_lacks_is_refused(tiny: Path) -> None:
    with pytest.raises(InputError, match="found --sead"):
        model_of(tiny, ids={"sead": 1})


@pytest.mark.parametrize(("key", "instead"), [("source", "--from"), ("dataset_dir", "INPUT"), ("body_from", "--segm")])
def test_ids_that_the_pipeline_sets_are_refused(tiny: Path, key: str, instead: str) -> None:
    with pytest.raises(InputError, match=f"--{key}: found an id that the pipeline sets itself; wanted {instead}"):
        model_of(tiny, ids={key: "x"})


def test_an_overlay_is_looked_up_in_the_bundle_and_told(tiny: Path) -> None:
    model = model_of(tiny, overlays=["configs/small.json"])
    assert list(model.identity()["configs"]) == ["inference.json", "small.json"]
    assert model.layers.parser["channels"] == 16


def test_only_the_ids_that_the_config_has_are_passed(tiny: Path, tmp_path: Path) -> None:
    with model_of(tiny, ids={"device": "cpu"}).opened(source="ct", num_samples=3) as workflow:
        assert workflow.parser.get("source") == "ct"
        assert "num_samples" not in workflow.parser


def test_the_bundle_is_importable_only_meanwhile(tiny: Path) -> None:
    before = sys.path.copy()
    with model_of(tiny, ids={"device": "cpu"}).opened() as workflow:
        network = workflow.parser.get_parsed_content("network_def")
        assert Path(sys.modules[type(network).__module__].__file__).is_relative_to(tiny.resolve())
    assert sys.path == before


def test_what_a_bundle_refuses_is_told_as_it_told_it(tiny: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"no such file or folder|no folder that can be read"),
        model_of(tiny, ids={"device": "cpu"}).opened(dataset_dir=str(tmp_path / "absent")) as workflow,
    ):
        workflow.run()


def test_the_cause_of_an_error_is_the_innermost_or_the_first_that_was_meant_for_users() -> None:
    meant = InputError("here", found="a", wanted="b", remedy="c")
    meant.__cause__ = KeyError("x")
    outer = RuntimeError("around")
    outer.__cause__ = meant
    assert cause_of(outer) is meant
    plain = RuntimeError("around")
    plain.__cause__ = ValueError("in")
    assert isinstance(cause_of(plain), ValueError)


def test_weights_that_come_with_the_project_bring_what_they_need(came: Path) -> None:
    model = model_of(came, ids={"slice_batch": 7})
    model.check()
    assert model.weights == came.parents[1] / "weights" / NAME / "model.pt"
    parser = model.layers.parser
    assert parser["pixdim"] == [5.0, 5.0, -1.0]
    assert parser["slice_batch"] == 7
    assert list(model.identity()["configs"]) == ["inference.json", "needed.json"]


def test_an_overlay_that_is_named_again_is_laid_once(came: Path) -> None:
    model = model_of(came, overlays=["configs/needed.json"])
    assert list(model.layers.overlays) == [(came / "configs" / "needed.json").resolve()]


def test_an_overlay_of_the_weights_is_never_that_of_the_working_directory(
    came: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "configs").mkdir(parents=True)
    (tmp_path / "here" / "configs" / "needed.json").write_text('{"channels": 3}')
    monkeypatch.chdir(tmp_path / "here")
    model_of(came).check()


def test_own_weights_go_before_those_that_come_with_the_project(came: Path, tiny: Path) -> None:
    shutil.copytree(tiny / "models", came / "models", dirs_exist_ok=True)
    model = model_of(came)
    assert model.weights == came / "models" / "model.pt"
    assert model.layers.overlays == ()


def test_named_weights_need_no_record(came: Path, tiny: Path) -> None:
    model = model_of(came, ckpt_path=tiny / "models" / "model.pt")
    assert (model.layers.overlays, model.layers.ids) == ((), {})


def test_weights_that_are_not_those_of_their_record_are_refused(came: Path) -> None:
    (came.parents[1] / "weights" / NAME / "model.pt").write_bytes(b"other")
    with pytest.raises(InputError, match=r"model\.pt: found sha256"):
        model_of(came)
