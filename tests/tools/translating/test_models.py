"""Which bundle is taken, and how its own inference is opened."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.tiny import edit
from translating import models
from translating.models import PREFERRED, Models, cause_of, model_of
from transmodal.errors import InputError


@pytest.fixture
def house(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two of the preferred bundles, of which the second has weights."""
    for name in PREFERRED[:2]:
        shutil.copytree(tiny, tmp_path / "bundles" / name)
    (tmp_path / "bundles" / PREFERRED[0] / "models" / "model.pt").unlink()
    monkeypatch.setattr(models, "ROOT", tmp_path)
    return tmp_path / "bundles"


def test_the_first_preferred_bundle_with_weights_is_taken(house: Path) -> None:
    assert Models.chosen().offering("mr", "ct").bundle.root == (house / PREFERRED[1]).resolve()


def test_a_preferred_bundle_that_does_not_offer_the_direction_is_passed_over(house: Path, tiny: Path) -> None:
    shutil.copytree(tiny / "models", house / PREFERRED[0] / "models", dirs_exist_ok=True)
    edit(house / PREFERRED[0], "metadata", lambda content: content["translation"].update(directions=[["mr", "ct"]]))
    chosen = Models.chosen()
    assert chosen.offering("mr", "ct").bundle.name == PREFERRED[0]
    assert chosen.offering("ct", "mr").bundle.name == PREFERRED[1]


def test_without_any_weights_the_ways_to_them_are_told(house: Path) -> None:
    (house / PREFERRED[1] / "models" / "model.pt").unlink()
    with pytest.raises(InputError, match=r"no models/model\.pt in any of them") as error:
        Models.chosen()
    for way in ("monai.bundle run", "tools/import_weights.py", "download_large_files", "--ckpt_path"):
        assert way in str(error.value)


def test_a_named_bundle_without_weights_says_how_to_get_them(house: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; wanted the weights of ct_mr_syndiff_translation"):
        Models.chosen(str(house / PREFERRED[0]))


def test_a_bundle_that_makes_volumes_of_radiographs_is_refused_with_its_own_command(house: Path) -> None:
    bundle = house / PREFERRED[1]
    edit(bundle, "metadata", lambda content: content["translation"].update(directions=[["xray", "ct"]]))
    with pytest.raises(InputError, match=r"(?s)makes volumes of radiographs.* configs/inference\.json --dataset_dir"):
        Models.chosen(str(bundle))


def test_a_direction_that_no_bundle_offers_is_refused(tiny: Path) -> None:
    with pytest.raises(InputError, match="xray to ct: found no such direction in ct_mr_cyclegan_translation"):
        Models([model_of(tiny)]).offering("xray", "ct")


@pytest.fixture
def three(root: Path, tmp_path: Path) -> Models:
    """StarGAN's bundle with its config of three domains, and weights that nobody reads."""
    (tmp_path / "model.pt").touch()
    stargan = root / "bundles" / "ct_mr_stargan_translation"
    return Models([model_of(stargan, ["configs/ct_t1_t2.json"], str(tmp_path / "model.pt"))])


def test_a_config_of_several_domains_offers_all_their_directions(three: Models) -> None:
    assert three.modalities == ("ct", "mr", "t1", "t2")
    assert three.offering("ct", "t2") is three.offering("t2", "t1")
    with pytest.raises(InputError, match="mr to ct: found no such direction"):
        three.offering("mr", "ct")


def test_without_a_contrast_a_config_of_contrasts_is_refused_with_what_it_offers(three: Models) -> None:
    with pytest.raises(InputError, match=r"ct to mr, mr to ct: found no such direction .* wanted ct to t1, ct to t2"):
        three.target(None, None)


@pytest.mark.parametrize(("stated", "asked", "goal"), [("t1", None, "ct"), (None, "t1", "t1"), ("t2", "t1", "t1")])
def test_the_target_of_contrasts(three: Models, stated: str | None, asked: str | None, goal: str) -> None:
    assert three.target(stated, asked) == goal


def test_without_wishes_each_scan_has_its_own_target(tiny: Path) -> None:
    assert Models([model_of(tiny)]).target(None, None) is None


def test_weights_of_another_network_are_told_before_any_case(tiny: Path) -> None:
    model_of(tiny).check()
    with pytest.raises(InputError, match=r"model\.pt: found "):
        model_of(tiny, ids={"channels": 3}).check()


def test_a_device_that_is_not_there_is_told_before_any_case(tiny: Path) -> None:
    with pytest.raises(InputError, match=r"--device nonsense: found .*; wanted a device that is there"):
        model_of(tiny, ids={"device": "nonsense"}).check()


def test_weights_without_their_bundle_are_refused() -> None:
    with pytest.raises(InputError, match=r"--ckpt_path: found no --bundle that it belongs to"):
        Models.chosen(ckpt_path="model.pt")


def test_an_option_that_is_unknown_without_a_bundle_is_refused() -> None:
    with pytest.raises(InputError, match=r"--sead: found no --bundle .* or an unknown option"):
        Models.chosen(ids={"sead": 1})


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
