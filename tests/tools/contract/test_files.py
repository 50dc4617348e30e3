"""What a bundle's folder promises: each broken promise is called by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.tiny import edit, tiny_bundle
from tests.tools.contract.asking import find, reason, write


def test_a_missing_licence_is_named_with_the_near_miss(bundle: Path) -> None:
    (bundle / "LICENSE").rename(bundle / "License.txt")
    assert reason(bundle, "license file") == "no file named LICENSE in the bundle's root, only License.txt"


@pytest.mark.parametrize("name", ["configs/logging.conf", "docs/data_license.txt", "configs/multi_gpu_train.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert reason(bundle, "required files") == f"{name} is absent"


@pytest.mark.parametrize("name", ["CT_MR_tiny_translation", "ct_mr_tiny", "translation"])
def test_a_folder_name_without_a_task_is_refused(tmp_path: Path, name: str) -> None:
    assert f"folder '{name}'" in reason(tiny_bundle(tmp_path, name=name), "folder name")


def test_a_package_named_scripts_is_refused(tmp_path: Path) -> None:
    assert "package 'scripts'" in reason(tiny_bundle(tmp_path, package="scripts"), "package name")


def test_a_second_package_is_refused(bundle: Path) -> None:
    write(bundle, "other_bundle/__init__.py", "")
    assert reason(bundle, "package name") == "packages other_bundle, tiny_bundle; wanted one"


def test_a_package_without_require_is_refused(bundle: Path) -> None:
    write(bundle, "tiny_bundle/__init__.py", "")
    assert "lacks transmodal.require(" in reason(bundle, "core version")


def test_a_package_for_another_core_is_refused(bundle: Path) -> None:
    write(bundle, "tiny_bundle/__init__.py", 'import transmodal\ntransmodal.require("9.9", by=__name__)\n')
    assert "transmodal.require('9.9', by=__name__); wanted" in reason(bundle, "core version")


@pytest.mark.parametrize("name", ["discriminator.pt", "model.ts"])
def test_anything_but_model_pt_in_models_is_refused(bundle: Path, name: str) -> None:
    write(bundle, f"models/{name}", "")
    assert f"models/{name}" in reason(bundle, "weights folder")


def test_a_part_that_training_starts_from_may_lie_beside_the_weights(bundle: Path) -> None:
    write(bundle, "models/slices.pt", "")
    assert reason(bundle, "weights folder") == "models/slices.pt; wanted model.pt alone, anything else outside models/"
    edit(bundle, "train", lambda config: config.update(slices_path="models/slices.pt"))
    assert find(bundle, "weights folder").status == "ok"


def test_a_part_that_label_would_load_before_the_network_is_refused(bundle: Path) -> None:
    """It takes the shortest name for the model."""
    write(bundle, "models/ct.pt", "")
    edit(bundle, "train", lambda config: config.update(ct_path="models/ct.pt"))
    assert "models/ct.pt" in reason(bundle, "weights folder")


@pytest.mark.parametrize("text", ["see /home/anna/data", 'x = "/mnt/disk/ct.nii"', "C:\\\\Users\\\\anna"])
def test_a_path_of_one_machine_is_found(bundle: Path, text: str) -> None:
    write(bundle, "docs/notes.md", f"# Notes\n{text}\n")
    assert reason(bundle, "no machine paths").startswith("docs/notes.md:2: ")


@pytest.mark.parametrize("text", ["https://example.org/home/x", "models/tmp/x", "~/work/data", "a/tmp/b"])
def test_addresses_and_relative_paths_are_no_machine_paths(bundle: Path, text: str) -> None:
    write(bundle, "docs/notes.md", text)
    assert find(bundle, "no machine paths").status == "ok"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("ghp_" + "a1B2" * 9, "a GitHub token"),
        ("hf_" + "abcD" * 9, "a Hugging Face token"),
        ('password = "correct-horse"', "a password"),
    ],
)
def test_a_secret_is_found_and_not_repeated(bundle: Path, text: str, what: str) -> None:
    write(bundle, "docs/notes.md", text)
    assert reason(bundle, "no secrets") == f"docs/notes.md:1: {what}"


def test_a_link_is_refused(bundle: Path) -> None:
    (bundle / "docs" / "link.txt").symlink_to(bundle / "LICENSE")
    assert "docs/link.txt is a link" in reason(bundle, "file kinds")


def test_a_large_file_is_refused_and_weights_are_not(bundle: Path) -> None:
    write(bundle, "models/model.pt", "0" * 1_000_001)
    assert find(bundle, "file kinds").status == "ok"
    write(bundle, "docs/figures/big.png", "0" * 1_000_001)
    assert "docs/figures/big.png has 1000001 bytes" in reason(bundle, "file kinds")


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("class=StreamHandler\nargs=(sys.stderr,)", True),
        ("class=handlers.RotatingFileHandler\nargs=('a.log',)", True),
        ("class=os.system\nargs=('true',)", False),
        ("class=StreamHandler\nargs=(os.environ,)", False),
        ("class=logging.getLogger\nargs=()", False),
    ],
)
def test_logging_conf_holds_nothing_that_runs(bundle: Path, line: str, accepted: bool) -> None:
    write(bundle, "configs/logging.conf", f"[handler_x]\n{line}\n")
    assert (find(bundle, "logging conf").status == "ok") is accepted


def test_the_hash_of_a_hosted_file_is_compared_where_it_is_reachable(bundle: Path, tmp_path: Path) -> None:
    write(tmp_path, "weights.pt", "abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256 of "abc", FIPS 180-2
    entry = f"large_files:\n- path: models/model.pt\n  url: {(tmp_path / 'weights.pt').as_uri()}\n  hash_type: sha256\n"
    write(bundle, "large_files.yml", f"{entry}  hash_val: {digest}\n")
    assert find(bundle, "large files").status == "ok"
    write(tmp_path, "weights.pt", "abd")
    assert f"wanted {digest}" in reason(bundle, "large files")


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("path: ../model.pt\n  url: https://a/b\n  hash_type: sha256\n  hash_val: " + "0" * 64, "inside the bundle"),
        ("path: models/model.pt\n  url: https://a/b\n  hash_val: " + "0" * 32, "wanted hash_type sha256"),
        ("path: models/model.pt\n  url: /a/b\n  hash_type: sha256\n  hash_val: " + "a" * 64, "a bare path"),
    ],
)
def test_hosted_files_are_pinned_and_stay_inside(bundle: Path, entry: str, complaint: str) -> None:
    write(bundle, "large_files.yml", f"large_files:\n- {entry}\n")
    assert complaint in reason(bundle, "large files")


def test_a_model_card_without_sections_is_refused(bundle: Path) -> None:
    write(bundle, "docs/README.md", "# Model overview\n## Data\n# License and references\n")
    assert reason(bundle, "model card") == "docs/README.md: no heading with training, performance, commands, disclaimer"


@pytest.mark.parametrize("text", ["{}\n", "Some text.\n\n{}\n\nMore.\n", "{}\n## More\nText.\n"])
@pytest.mark.parametrize("word", ["PERFORMANCE", "TODO", "FILL_IN"])
def test_a_placeholder_in_a_model_card_is_refused(bundle: Path, word: str, text: str) -> None:
    card = (bundle / "docs/README.md").read_text(encoding="utf-8")
    write(bundle, "docs/README.md", f"{card}\n## Performance\n{text.format(word)}")
    complaint = f"docs/README.md: a paragraph of {word} alone; wanted the text that it stands for"
    assert reason(bundle, "model card") == complaint


def test_capitals_within_a_paragraph_of_a_model_card_are_text(bundle: Path) -> None:
    card = (bundle / "docs/README.md").read_text(encoding="utf-8")
    write(bundle, "docs/README.md", f"{card}\nThe error is the\nMAE\nin HU.\n\nMAE:\n")
    assert find(bundle, "model card").status == "ok"


@pytest.mark.parametrize("words", ["No image is shipped.", "No image and no weight is shipped with this bundle."])
def test_a_licence_without_images_beside_figures_is_refused(bundle: Path, words: str) -> None:
    write(bundle, "docs/data_license.txt", words)
    assert find(bundle, "data license").status == "ok"
    write(bundle, "docs/figures/ct.png", "")
    assert reason(bundle, "data license") == "docs/data_license.txt says that there is no image, and docs has ct.png"


def test_a_licence_without_weights_in_a_packed_bundle_that_has_them_is_refused(bundle: Path) -> None:
    write(bundle, "docs/data_license.txt", "No weight is shipped with this bundle.")
    write(bundle, "models/model.pt", "")
    assert find(bundle, "data license").status == "ok"  # a checkout in which somebody trained
    write(bundle, "transmodal/__init__.py", "")
    assert "and models/model.pt is there" in reason(bundle, "data license")
