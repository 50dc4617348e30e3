"""A release that is not whole is told so, file by file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from contract import Bundle
from releasing.building import Hosting, build
from releasing.checking import problems_of, write_sums
from tests.packaging.tiny import NAME, edit
from tests.tools.releasing.house import write_record
from transmodal.errors import InputError

House = tuple[Bundle, Path]
Built = Callable[..., Path]
VERSION, WEIGHTS = f"{NAME}_v0.1.0", f"{NAME}-0.1.0-model.pt"


@pytest.fixture
def folder(built: Built) -> Path:
    return built(owner="someone", base_url="https://example.org/r")


def found(folder: Path) -> list[str]:
    return list(problems_of(folder))


def test_a_fresh_release_is_whole(folder: Path, built: Built) -> None:
    assert found(folder) == []
    assert found(built("apart", apart=True)) == []


def test_the_sums_are_those_of_sha256sum(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_changed_a_lost_and_a_foreign_file_are_told(folder: Path) -> None:
    (folder / f"{VERSION}.zip").write_bytes(b"cut")
    (folder / "index.html").unlink()
    (folder / "more.txt").write_text("")
    changed, lost, foreign = sorted(found(folder), key=lambda line: ("found" not in line, "gone" not in line))
    assert changed.startswith(f"{VERSION}.zip: found sha256 ")
    assert lost == "index.html is gone"
    assert foreign == "more.txt is not in SHA256SUMS"


def test_a_listing_of_another_zip_is_told(folder: Path) -> None:
    path = folder / "models" / "model_info.json"
    info = json.loads(path.read_text())
    info[VERSION]["checksum"] = "0" * 64
    info["ct_mr_gone_translation_v0.1.0"] = info[VERSION]
    path.write_text(json.dumps(info))
    write_sums(folder)
    assert found(folder) == [
        f"models/model_info.json: checksum of {VERSION}.zip is {'0' * 64}",
        "models/model_info.json: ct_mr_gone_translation_v0.1.0.zip is gone",
    ]


def test_a_zip_that_is_not_listed_is_told(folder: Path) -> None:
    (folder / "models" / "model_info.json").write_text("{}")
    write_sums(folder)
    assert found(folder) == [f"{VERSION}.zip is not in models/model_info.json"]


@pytest.mark.parametrize("page", ["README.md", "index.html"])
def test_a_zip_that_a_page_does_not_list_is_told(folder: Path, page: str) -> None:
    (folder / page).write_text("nothing")
    write_sums(folder)
    assert found(folder) == [f"{page}: {VERSION}.zip is not listed"]


def test_several_addresses_of_one_folder_are_told(folder: Path) -> None:
    path = folder / "models" / "model_info.json"
    path.write_text(path.read_text().replace("https://example.org/r/", "https://example.org/other/"))
    write_sums(folder)
    addresses = "https://example.org/other, https://example.org/r"
    told = f"models/model_info.json and large_files.yml: found several addresses of one folder: {addresses}"
    assert found(folder) == [told]


def test_metadata_of_another_direction_than_the_config_are_told(house: House, tmp_path: Path) -> None:
    bundle, weights = house
    edit(bundle.root, "metadata", lambda content: content.update(translation={"directions": [["ct", "mr"]]}))
    write_record(weights / NAME, values={"source": "mr", "target": "ct"})
    build(tmp_path / "dist", [Bundle(bundle.root)], Hosting(), weights)
    (problem,) = found(tmp_path / "dist")
    assert problem.startswith(f"{VERSION}.zip: metadata.json: translation.directions: found [['ct', 'mr']]; wanted")


def test_other_weights_beside_the_zip_are_told(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"other")
    write_sums(folder)
    assert found(folder) == [
        f"{VERSION}.zip: its weights are not {WEIGHTS}",
        f"large_files/{VERSION}/large_files.yml: {WEIGHTS} is absent, or not the file that is pinned",
    ]


def test_a_wrong_sum_beside_the_zip_is_told(folder: Path) -> None:
    (folder / f"{VERSION}.zip.sha256").write_text("0\n")
    write_sums(folder)
    assert found(folder) == [f"{VERSION}.zip.sha256: wanted the sha256 of {VERSION}.zip"]


def test_a_pin_that_is_not_the_one_in_the_zip_is_told(built: Built) -> None:
    folder = built(apart=True)
    pin = folder / "large_files" / VERSION / "large_files.yml"
    pin.write_text(pin.read_text() + "\n")
    write_sums(folder)
    assert found(folder) == [f"{VERSION}.zip: its large_files.yml is not large_files/{VERSION}/large_files.yml"]


def test_metadata_that_the_hub_would_refuse_are_told(folder: Path) -> None:
    path = folder / "hf_models" / NAME / "metadata.json"
    content = json.loads(path.read_text())
    del content["changelog"]
    path.write_text(json.dumps(content))
    write_sums(folder)
    assert found(folder) == [f"hf_models/{NAME}/metadata.json: metadata: 'changelog' is a required property"]


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no SHA256SUMS; wanted the folder that tools/release\.py build made"):
        found(tmp_path)
