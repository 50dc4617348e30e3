"""Which bundle is taken, and what it is to translate to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.packaging.tiny import edit
from tests.tools.releasing.house import record_of
from translating import models
from translating.model import model_of
from translating.models import PREFERRED, Models
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
    (house.parent / "tools").mkdir()
    for file in (house.parent / "tools" / "import_weights.py", house / PREFERRED[0] / "large_files.yml"):
        file.touch()
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


def test_weights_without_their_bundle_are_refused() -> None:
    with pytest.raises(InputError, match=r"--ckpt_path: found no --bundle that it belongs to"):
        Models.chosen(ckpt_path="model.pt")


def test_an_option_that_is_unknown_without_a_bundle_is_refused() -> None:
    with pytest.raises(InputError, match=r"--sead: found no --bundle .* or an unknown option"):
        Models.chosen(ids={"sead": 1})


def test_weights_that_come_with_the_project_are_taken_where_a_bundle_has_none(house: Path) -> None:
    release(house, PREFERRED[0])
    own, came = Models.chosen().candidates
    assert (own.bundle.name, came.bundle.name) == (PREFERRED[1], PREFERRED[0])
    assert came.weights == (house.parent / "weights" / PREFERRED[0] / "model.pt").resolve()


def test_without_own_weights_the_first_preferred_bundle_is_taken(house: Path) -> None:
    (house / PREFERRED[1] / "models" / "model.pt").rename(house.parent / "elsewhere.pt")
    for name in PREFERRED[:2]:
        release(house, name, house.parent / "elsewhere.pt")
    assert Models.chosen().offering("mr", "ct").bundle.name == PREFERRED[0]


def release(bundles: Path, name: str, file: Path | None = None) -> None:
    """Put weights of the tiny bundle among those that come with the project."""
    folder = bundles.parent / "weights" / name
    folder.mkdir(parents=True)
    shutil.copyfile(file or bundles / PREFERRED[1] / "models" / "model.pt", folder / "model.pt")
    record = {**record_of(folder / "model.pt", name), "values": {}}
    (folder / "weights.json").write_text(json.dumps(record))
