"""The folder of a release: what lies in it, that it is made whole, and that the same files give the same bytes."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from contract import Bundle
from releasing.building import Hosting, build
from releasing.checking import problems_of
from tests.packaging.tiny import NAME, edit, tiny_bundle
from tests.tools.releasing.house import GAIN, write_record
from transmodal.errors import InputError

House = tuple[Bundle, Path]
Built = Callable[..., Path]
VERSION, WEIGHTS = f"{NAME}_v0.1.0", f"{NAME}-0.1.0-model.pt"
BASE = "https://example.org/r"


def in_zip(archive: Path, name: str) -> bytes:
    with zipfile.ZipFile(archive) as file:
        return file.read(f"{NAME}/{name}")


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_what_each_host_needs(built: Built) -> None:
    assert sorted(files(built(owner="someone"))) == [
        "README.md",
        "SHA256SUMS",
        WEIGHTS,
        f"{VERSION}.zip",
        f"{VERSION}.zip.sha256",
        f"hf_models/{NAME}/LICENSE",
        f"hf_models/{NAME}/README.md",
        f"hf_models/{NAME}/metadata.json",
        "index.html",
        f"large_files/{VERSION}/large_files.yml",
        "models/model_info.json",
    ]


def test_the_zip_has_the_weights_and_the_ids_that_they_need(built: Built, house: House) -> None:
    archive = built() / f"{VERSION}.zip"
    assert in_zip(archive, "models/model.pt") == (house[1] / NAME / "model.pt").read_bytes()
    inference = json.loads(in_zip(archive, "configs/inference.json"))
    assert (inference["source"], inference["gains"]) == ("ct", {"ct": 1.5, "mr": 2.5})
    assert json.loads(in_zip(archive, "configs/metadata.json"))["eval_metrics"] == {
        "ct_to_mr": {"model": {"mae": 12.5}}
    }


def test_the_range_of_the_training_is_packed_with_the_weights(built: Built, house: House) -> None:
    (house[1] / NAME / "trained_range.json").write_text('{"mr": 1}')
    assert in_zip(built() / f"{VERSION}.zip", "models/trained_range.json") == b'{"mr": 1}'


def test_kept_apart_the_weights_are_pinned_instead(built: Built, house: House) -> None:
    folder = built(base_url=f"{BASE}/", apart=True)
    digest = hashlib.sha256((house[1] / NAME / "model.pt").read_bytes()).hexdigest()
    pin = in_zip(folder / f"{VERSION}.zip", "large_files.yml").decode()
    assert f'url: "{BASE}/{WEIGHTS}"' in pin
    assert digest in pin
    with zipfile.ZipFile(folder / f"{VERSION}.zip") as file:
        assert f"{NAME}/models/model.pt" not in file.namelist()
    assert (folder / "large_files" / VERSION / "large_files.yml").read_text() == pin


def test_the_listing_says_where_the_zip_will_be(built: Built) -> None:
    info = json.loads((built(base_url=BASE) / "models" / "model_info.json").read_text())
    assert info[VERSION]["source"] == f"{BASE}/{VERSION}.zip"


def test_without_an_address_the_folder_is_its_own_host(built: Built) -> None:
    folder = built()
    info = json.loads((folder / "models" / "model_info.json").read_text())
    assert info[VERSION]["source"] == (folder / f"{VERSION}.zip").as_uri()


def test_without_an_owner_nothing_is_written_for_the_hub(built: Built) -> None:
    assert not (built() / "hf_models").exists()


def test_without_released_weights_the_code_is_packed_alone(built: Built, nothing: Path) -> None:
    folder = built(weights=nothing, owner="someone")
    with zipfile.ZipFile(folder / f"{VERSION}.zip") as file:
        assert not [name for name in file.namelist() if "/models/" in name]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["hf_models", "models"]
    assert list(problems_of(folder)) == []


def test_weights_that_lie_in_the_bundle_are_not_published(house: House, built: Built, nothing: Path) -> None:
    (house[0].root / "models").mkdir(exist_ok=True)
    torch.save({"ct.value": torch.zeros(1), "mr.value": torch.zeros(1)}, house[0].weights)
    folder = built(weights=nothing)
    with zipfile.ZipFile(folder / f"{VERSION}.zip") as file:
        assert not [name for name in file.namelist() if "/models/" in name]


def test_the_same_files_give_the_same_bytes(built: Built) -> None:
    assert files(built("first", base_url=BASE, owner="a")) == files(built("second", base_url=BASE, owner="a"))


def test_a_new_version_joins_the_old_one(built: Built, house: House) -> None:
    before = files(built(base_url=BASE))
    edit(house[0].root, "metadata", lambda content: content.update(version="0.2.0"))
    edit(house[0].root, "metadata", lambda content: content["changelog"].update({"0.2.0": "next"}))
    write_record(house[1] / NAME, version="0.2.0")
    bundle = Bundle(house[0].root)
    folder = house[1].parent / "dist"
    build(folder, [bundle], Hosting(BASE), house[1])
    after = files(folder)
    assert after[f"{VERSION}.zip"] == before[f"{VERSION}.zip"]
    assert sorted(json.loads(after["models/model_info.json"])) == [VERSION, f"{NAME}_v0.2.0"]
    assert list(problems_of(folder)) == []


def other_bundle(folder: Path) -> Bundle:
    return Bundle(tiny_bundle(folder / "more", name="ct_mr_other_translation", package="other_bundle"))


def test_what_was_there_before_stays_on_the_pages(built: Built, house: House, tmp_path: Path) -> None:
    folder = built(base_url=BASE)
    build(folder, [other_bundle(tmp_path)], Hosting(BASE), house[1])
    for page in ("README.md", "index.html"):
        text = (folder / page).read_text()
        assert f"{BASE}/{VERSION}.zip" in text
        assert f"{BASE}/ct_mr_other_translation_v0.1.0.zip" in text
        assert "multiplies by one number" in text
    assert list(problems_of(folder)) == []


def test_another_address_for_what_is_added_is_refused(built: Built, house: House, tmp_path: Path) -> None:
    folder, other = built(base_url=BASE), other_bundle(tmp_path)
    before = files(folder)
    for address in ("https://example.org/other", None):
        with pytest.raises(
            InputError, match=rf"found a folder that has {VERSION} under {BASE}; .*\n.*--base_url {BASE}"
        ):
            build(folder, [other], Hosting(address), house[1])
        assert files(folder) == before


def test_all_of_a_folder_may_be_built_again_for_another_address(built: Built) -> None:
    built(base_url=BASE)
    folder = built(base_url="https://example.org/other")
    assert f"{BASE}/" not in (folder / "README.md").read_text()
    assert list(problems_of(folder)) == []


def test_a_folder_of_weights_that_is_not_there_is_refused(built: Built, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: found no such folder; wanted the folder of released weights"):
        built(weights=tmp_path / "none")
    assert not (tmp_path / "dist").exists()


def test_one_version_has_one_content_and_a_refused_release_leaves_the_folder(built: Built, house: House) -> None:
    folder = built(base_url=BASE)
    before = files(folder)
    write_record(house[1] / NAME, values={"source": "mr"})
    with pytest.raises(InputError, match=r"model_info\.json: found .* with sha256"):
        built(base_url=BASE)
    assert files(folder) == before
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".dist")] == []


def test_a_folder_with_anything_else_is_refused(tmp_path: Path, built: Built) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"dist: found a folder with other content; wanted a new folder"):
        built()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file: found a file; wanted a new folder"):
        built("file")


def test_weights_that_are_not_those_of_the_record_are_refused(built: Built, house: House, tmp_path: Path) -> None:
    (house[1] / NAME / "model.pt").write_bytes(b"other")
    with pytest.raises(InputError, match=r"model\.pt: found sha256"):
        built()
    assert not (tmp_path / "dist").exists()


def test_metadata_that_the_hub_would_refuse_are_refused(built: Built, house: House, tmp_path: Path) -> None:
    other = tiny_bundle(tmp_path / "more", name="ct_mr_other_translation", package="other_bundle")
    edit(other, "metadata", lambda content: content.update(authors=["two", "people"]))
    with pytest.raises(InputError, match=r"metadata\.json: found authors: .*; wanted what hub_schema\.json asks for"):
        build(tmp_path / "dist", [Bundle(other)], Hosting(owner="someone"), house[1])
    assert not (tmp_path / "dist").exists()


def test_the_gain_of_the_release_is_what_the_tests_take_it_for(house: House) -> None:
    assert torch.load(house[1] / NAME / "model.pt", weights_only=True)["ct.value"].item() == GAIN
