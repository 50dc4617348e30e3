"""Packing: what goes into the zip, that the same files give the same bytes, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from contract import Bundle
from contract.bundle import files_of
from contract.running import network_of
from pack import main, pack
from tests.packaging.tiny import NAME, edit, give_weights, tiny_bundle
from transmodal.checkpoints import load_weights, save_weights
from transmodal.errors import InputError

ARCHIVE = f"{NAME}_v0.1.0.zip"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tiny_bundle(tmp_path)
    give_weights(path)
    return path


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as file:
        return file.namelist()


def read(archive: Path, name: str) -> bytes:
    with zipfile.ZipFile(archive) as file:
        return file.read(f"{NAME}/{name}")


def test_there_is_one_top_folder_with_the_bundles_name(bundle: Path, tmp_path: Path) -> None:
    archive = pack(Bundle(bundle), tmp_path / "out")
    assert archive == tmp_path / "out" / ARCHIVE
    assert {name.partition("/")[0] for name in names(archive)} == {NAME}


def test_the_core_is_copied_unchanged_and_whole(bundle: Path, tmp_path: Path, root: Path) -> None:
    archive = pack(Bundle(bundle), tmp_path / "out")
    core = root / "common" / "transmodal"
    expected = {f"transmodal/{path.relative_to(core).as_posix()}": path.read_bytes() for path in files_of(core)}
    assert "transmodal/data/__init__.py" in expected
    packed = [name.removeprefix(f"{NAME}/") for name in names(archive) if name.startswith(f"{NAME}/transmodal/")]
    assert {name: read(archive, name) for name in packed} == expected


def test_the_same_files_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    first = pack(Bundle(bundle), tmp_path / "first").read_bytes()
    for path in bundle.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    assert pack(Bundle(bundle), tmp_path / "second").read_bytes() == first


def test_other_content_gives_other_bytes(bundle: Path, tmp_path: Path) -> None:
    first = pack(Bundle(bundle), tmp_path / "first").read_bytes()
    give_weights(bundle, ct=0.75)
    assert pack(Bundle(bundle), tmp_path / "second").read_bytes() != first


def test_caches_results_and_hidden_files_stay_out(bundle: Path, tmp_path: Path) -> None:
    stray = ["output/a.nii.gz", "data/x/ct.nii.gz", "eval/log.txt", "tiny_bundle/__pycache__/a.pyc", ".DS_Store"]
    for name in [*stray, "models/.gitkeep", "tiny_bundle/data_notes.py"]:
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text("")
    packed = names(pack(Bundle(bundle), tmp_path / "out"))
    assert f"{NAME}/tiny_bundle/data_notes.py" in packed
    assert not {f"{NAME}/{name}" for name in [*stray, "models/.gitkeep"]} & set(packed)


def test_the_checksum_file_and_the_listing_name_the_zip(bundle: Path, tmp_path: Path) -> None:
    archive = pack(Bundle(bundle), tmp_path / "out")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (tmp_path / "out" / f"{ARCHIVE}.sha256").read_text() == f"{digest}  {ARCHIVE}\n"
    info = json.loads((tmp_path / "out" / "models" / "model_info.json").read_text())
    assert info == {f"{NAME}_v0.1.0": {"checksum": digest, "source": archive.as_uri()}}


def test_the_listing_keeps_other_bundles(bundle: Path, tmp_path: Path) -> None:
    other = tiny_bundle(tmp_path, name="ct_mr_other_translation", package="other_bundle")
    pack(Bundle(bundle), tmp_path / "out")
    pack(Bundle(other), tmp_path / "out", without_weights=True, source_url="https://example.org/other.zip")
    info = json.loads((tmp_path / "out" / "models" / "model_info.json").read_text())
    assert sorted(info) == ["ct_mr_other_translation_v0.1.0", f"{NAME}_v0.1.0"]
    assert info["ct_mr_other_translation_v0.1.0"]["source"] == "https://example.org/other.zip"


def test_one_version_has_one_content(bundle: Path, tmp_path: Path) -> None:
    before = pack(Bundle(bundle), tmp_path / "out").read_bytes()
    pack(Bundle(bundle), tmp_path / "out")
    give_weights(bundle, ct=0.75)
    with pytest.raises(
        InputError, match=r"found .*_v0.1.0 with sha256 .*; wanted one content per version.*\n.*raise `ver"
    ):
        pack(Bundle(bundle), tmp_path / "out")
    assert (tmp_path / "out" / ARCHIVE).read_bytes() == before
    assert [path.name for path in (tmp_path / "out").glob(".*")] == []


def test_other_weights_can_be_packed_under_the_name_that_consumers_read(bundle: Path, tmp_path: Path) -> None:
    weights = give_weights(bundle, ct=0.75).rename(tmp_path / "best.pt")
    archive = pack(Bundle(bundle), tmp_path / "out", weights=weights)
    assert read(archive, "models/model.pt") == weights.read_bytes()


def test_hosted_weights_are_pinned_and_left_out(bundle: Path, tmp_path: Path) -> None:
    archive = pack(Bundle(bundle), tmp_path / "out", hosted_url="https://example.org/model.pt")
    digest = hashlib.sha256((bundle / "models" / "model.pt").read_bytes()).hexdigest()
    assert f"{NAME}/models/model.pt" not in names(archive)
    assert read(archive, "large_files.yml").decode().splitlines() == [
        "large_files:",
        '- path: "models/model.pt"',
        '  url: "https://example.org/model.pt"',
        f'  hash_val: "{digest}"',
        '  hash_type: "sha256"',
    ]


def test_weights_inside_make_large_files_superfluous(bundle: Path, tmp_path: Path) -> None:
    pin = "large_files:\n- path: models/model.pt\n  url: https://example.org/m.pt\n  hash_type: sha256\n  hash_val: "
    (bundle / "large_files.yml").write_text(f"{pin}{'a' * 64}\n")
    packed = names(pack(Bundle(bundle), tmp_path / "inside"))
    assert f"{NAME}/models/model.pt" in packed
    assert f"{NAME}/large_files.yml" not in packed
    (bundle / "models" / "model.pt").unlink()
    assert f"{NAME}/large_files.yml" in names(pack(Bundle(bundle), tmp_path / "hosted"))


def test_missing_weights_are_refused_with_the_ways_to_get_them(bundle: Path, tmp_path: Path) -> None:
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(
        InputError, match=r"model.pt: found no such file; wanted the weights of ct_mr_tiny.*\n.*train.json"
    ):
        pack(Bundle(bundle), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_licence_tells_of_weights_where_they_are_inside(bundle: Path, tmp_path: Path) -> None:
    name = "docs/data_license.txt"
    (bundle / name).write_text("No weight is shipped with this bundle. The figures show nobody.\n")
    assert read(pack(Bundle(bundle), tmp_path / "with"), name).decode() == (
        "The weights models/model.pt come with this bundle, under the terms of the images that they were trained on. "
        "The figures show nobody.\n"
    )
    alone = pack(Bundle(bundle), tmp_path / "without", without_weights=True)
    assert read(alone, name) == (bundle / name).read_bytes()


def test_code_can_be_packed_without_weights(bundle: Path, tmp_path: Path) -> None:
    packed = names(pack(Bundle(bundle), tmp_path / "out", without_weights=True))
    assert f"{NAME}/configs/inference.json" in packed
    assert not [name for name in packed if "/models/" in name]


def test_weights_of_another_network_are_refused(bundle: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1)}, bundle / "models" / "model.pt")
    with pytest.raises(InputError, match=r"found 1 unknown \(weight\).*; wanted exactly the 2 tensors of the network"):
        pack(Bundle(bundle), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_promise_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(version="0.2.0"))
    with pytest.raises(
        InputError, match=r"found version \(version '0.2.0' is not in the changelog\); wanted.*\n.*verify.py"
    ):
        pack(Bundle(bundle), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_zip_and_its_checksum(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(str(bundle), str(tmp_path / "out"))
    archive = tmp_path / "out" / ARCHIVE
    assert capsys.readouterr().out == f"{archive}\n{hashlib.sha256(archive.read_bytes()).hexdigest()}\n"


def test_the_command_tells_an_error_without_a_traceback(bundle: Path, tmp_path: Path) -> None:
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(SystemExit, match=r"model\.pt: found no such file"):
        main(str(bundle), str(tmp_path / "out"))


def test_the_command_tells_that_the_output_is_a_file(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"/out: found File exists; wanted .* a folder that can be written"):
        main(str(bundle), str(tmp_path / "out"))


@pytest.fixture
def small(root: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The real bundle, and weights as a training with its configs/small.json leaves them."""
    bundle = Bundle(root / "bundles/ct_mr_cyclegan_translation")
    parser = ConfigParser()
    parser.read_config([str(bundle.configs / "inference.json"), str(bundle.configs / "small.json")])
    with bundle.importable():
        save_weights(parser.get_parsed_content("network_def").state_dict(), tmp_path / "small.pt")
    return bundle.root, tmp_path / "small.pt"


def test_weights_of_an_overlay_run_alone_with_it_folded_in(small: tuple[Path, Path], tmp_path: Path) -> None:
    path, weights = small
    main(str(path), str(tmp_path / "out"), weights=str(weights), overlay="configs/small.json")
    with zipfile.ZipFile(next((tmp_path / "out").glob("*.zip"))) as file:
        file.extractall(tmp_path)
    packed = Bundle(tmp_path / path.name)
    with packed.importable():
        load_weights(network_of(packed), packed.weights)
    overlay, inference, train = (packed.read(name) for name in ("small", "inference", "train"))
    own = ("channels", "num_blocks", "pixdim")
    assert {name: inference[name] for name in own} == {name: overlay[name] for name in own}
    assert inference["channels"] != Bundle(path).read("inference")["channels"]
    ids = overlay.keys() - {"_desc_"}
    assert {name: train[name] for name in ids} == {name: overlay[name] for name in ids}
    assert "critic_channels" not in inference


def test_the_same_overlay_gives_the_same_bytes_and_leaves_the_bundle(small: tuple[Path, Path], tmp_path: Path) -> None:
    path, weights = small
    before = {file: file.read_bytes() for file in Bundle(path).files()}
    first, second = (
        pack(Bundle(path), tmp_path / name, weights, overlays=[path / "configs/small.json"]).read_bytes()
        for name in ("first", "second")
    )
    assert first == second
    assert {file: file.read_bytes() for file in Bundle(path).files()} == before


def test_weights_that_need_an_overlay_are_refused_without_it(small: tuple[Path, Path], tmp_path: Path) -> None:
    path, weights = small
    with pytest.raises(InputError, match=r"small.pt: found .*wanted exactly the"):
        pack(Bundle(path), tmp_path / "out", weights)


def test_overlays_are_folded_in_in_order(bundle: Path, tmp_path: Path) -> None:
    for name, content in (("a", {"source": "ct", "gains": {"ct": 1.5, "mr": 1.5}}), ("b", {"+gains": {"mr": 3.5}})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    main(str(bundle), str(tmp_path / "out"), overlay=f"{tmp_path}/a.json,{tmp_path}/b.json")
    inference = json.loads(read(tmp_path / "out" / ARCHIVE, "configs/inference.json"))
    assert inference["source"] == "ct"
    assert inference["gains"] == {"ct": 1.5, "mr": 3.5}


def test_a_nested_id_of_an_overlay_is_folded_in(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "batch.json").write_text('{"dataloader#batch_size": 2}')
    archive = pack(Bundle(bundle), tmp_path / "out", overlays=[tmp_path / "batch.json"])
    inference = json.loads(read(archive, "configs/inference.json"))
    assert inference["dataloader"]["batch_size"] == 2
    assert "dataloader#batch_size" not in inference


@pytest.mark.parametrize(
    ("content", "told"),
    [('{"chanels": 16}', "found ids that no config has: chanels"), ('{"_desc_": "nothing"}', "found no ids")],
)
def test_an_overlay_that_changes_nothing_is_refused(bundle: Path, tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(InputError, match=told):
        pack(Bundle(bundle), tmp_path / "out", overlays=[tmp_path / "odd.json"])
    assert not (tmp_path / "out").exists()


def test_a_missing_overlay_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"none\.json: found no such file; wanted an overlay"):
        main(str(bundle), str(tmp_path / "out"), overlay="configs/none.json")


def test_an_overlay_of_other_domains_packs_and_tells_its_directions(root: Path, tmp_path: Path) -> None:
    bundle = Bundle(root / "bundles" / "ct_mr_stargan_translation")
    archive = pack(bundle, tmp_path, without_weights=True, overlays=[Path("configs/ct_t1_t2.json")])
    with zipfile.ZipFile(archive) as file:
        metadata = json.loads(file.read(f"{bundle.name}/configs/metadata.json"))
    assert ["t2", "ct"] in metadata["translation"]["directions"]
    assert ["mr", "ct"] not in metadata["translation"]["directions"]
