"""The contract of bundles: a good bundle passes, and each broken promise is called by its name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

import verify
from contract import RUNNING, STATIC, Bundle, Finding, Note, Skipped, run_checks
from contract.running import SCHEMA
from tests.packaging.tiny import PACKAGE, TEMPLATE, edit, give_weights, tiny_bundle, write_cases

ROOT = Path(verify.__file__).parents[1]
BUNDLES = sorted(path.parent for path in ROOT.glob("bundles/*/configs"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path)


def find(bundle: Path, check: str, **options: Path) -> Finding:
    """The answer of one check."""
    named = {each.__name__.replace("_", " "): each for each in (*STATIC, *RUNNING)}
    return run_checks(Bundle(bundle, **options), [named[check]])[0]


def reason(bundle: Path, check: str, **options: Path) -> str:
    """What a check says against a bundle."""
    finding = find(bundle, check, **options)
    assert finding.status == "FAIL", finding
    return "; ".join(finding.reasons)


def write(bundle: Path, name: str, text: str) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_text(text, encoding="utf-8")


def test_a_good_bundle_with_weights_passes_everything(bundle: Path, tmp_path: Path, shared: Path) -> None:
    give_weights(bundle)
    data = write_cases(tmp_path / "data", "case_1")
    schema = shared / "schema" / "meta_schema_20240725.json"
    findings = verify.verify(Bundle(bundle, schema=schema, data=data))
    assert [finding for finding in findings if finding.status == "FAIL"] == []
    assert [each.check for each in findings if each.status == "skipped"] == ["large files", "scores have a record"]


def test_without_weights_only_what_needs_them_is_skipped_and_says_why(bundle: Path) -> None:
    assert find(bundle, "weights") == Finding(
        "weights", "skipped", ("models/model.pt is absent: train, import or download the weights first",)
    )
    assert find(bundle, "ckpt export").reasons == ("scriptable; with random weights, for lack of real ones",)


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_every_bundle_of_this_checkout_keeps_its_static_promises(path: Path) -> None:
    assert [finding for finding in run_checks(Bundle(path), STATIC) if finding.status == "FAIL"] == []


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


def test_an_unknown_schema_is_refused(bundle: Path) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(schema="https://example.org/schema.json"))
    assert "schema 'https://example.org/schema.json'" in reason(bundle, "schema url")


@pytest.mark.parametrize("field", ["name", "changelog", "references"])
def test_a_field_that_the_model_zoo_wants_is_missed(bundle: Path, field: str) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.pop(field))
    assert reason(bundle, "wanted fields") == f"'{field}' is absent or empty"


@pytest.mark.parametrize(
    ("version", "changelog", "complaint"),
    [
        ("0.10.0", {"0.10.0": "a"}, "three single digits"),
        ("0.2.0", {"0.1.0": "a"}, "'0.2.0' is not in the changelog"),
        ("0.1.0", {"0.1.0": "a", "0.2.0": "b"}, "the changelog has 0.2.0"),
    ],
)
def test_version_and_changelog_agree(bundle: Path, version: str, changelog: dict[str, str], complaint: str) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(version=version, changelog=changelog))
    assert complaint in reason(bundle, "version")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"monai_version": "1.99.0"}, "monai 1.99.0 is newer than the installed"),
        ({"pytorch_version": "1.13.0"}, "torch 1.13.0; the core wants torch>=2.8"),
        ({"numpy_version": "new"}, "numpy 'new' is not a version"),
        ({"required_packages_version": {"no-such-thing": "1.0"}}, "no-such-thing is not installed"),
        ({"required_packages_version": {"transmodal": "0.1.0"}}, "'transmodal' is no published package"),
    ],
)
def test_versions_of_libraries_are_true(bundle: Path, change: dict[str, Any], complaint: str) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(change))
    assert complaint in reason(bundle, "library versions")


def test_another_name_for_the_input_is_refused(bundle: Path) -> None:
    def rename(metadata: dict[str, Any]) -> None:
        inputs = metadata["network_data_format"]["inputs"]
        inputs["mr"] = inputs.pop("image")

    edit(bundle, "metadata", rename)
    assert reason(bundle, "inputs and outputs").startswith("inputs begin with 'mr'; wanted 'image'")
    assert reason(bundle, "forward parameters").startswith("inputs mr; the parameters of forward are image, target")


def test_a_size_that_monai_takes_for_one_is_refused(bundle: Path) -> None:
    def star(metadata: dict[str, Any]) -> None:
        metadata["network_data_format"]["inputs"]["image"]["spatial_shape"][1] = "*"

    edit(bundle, "metadata", star)
    assert "inputs.image: size '*'; wanted" in reason(bundle, "inputs and outputs")


def test_a_score_needs_a_record_with_its_command_data_and_commit(bundle: Path) -> None:
    edit(bundle, "metadata", lambda metadata: metadata.update(eval_metrics={"mae_hu": 64.5, "psnr": {"mean": 30.1}}))
    assert reason(bundle, "scores have a record").startswith("mae_hu, psnr.mean: no docs/*.json with command, data")
    record = {"data": "ten cases", "commit": "abc", "eval_metrics": {"mae_hu": 64.5, "psnr": {"mean": 30.1}}}
    write(bundle, "docs/evaluation.json", json.dumps(record))
    assert find(bundle, "scores have a record").status == "FAIL"
    write(bundle, "docs/evaluation.json", json.dumps({**record, "command": "python -m monai.bundle run"}))
    assert find(bundle, "scores have a record").status == "ok"


def test_a_repeated_key_is_named(bundle: Path) -> None:
    write(bundle, "configs/train.json", '{"lr": 1, "lr": 2}')
    assert "found the key 'lr' 2 times in one object" in reason(bundle, "json format")


def test_unformatted_json_is_named(bundle: Path) -> None:
    write(bundle, "configs/evaluate.json", '{"a": 1}')
    assert reason(bundle, "json format") == "evaluate.json is not formatted; run tools/format_json.py evaluate.json"


@pytest.mark.parametrize(("name", "budget"), [("inference", 150), ("train", 250), ("evaluate", 80), ("train_vae", 80)])
def test_a_config_over_its_budget_is_refused(bundle: Path, name: str, budget: int) -> None:
    write(bundle, f"configs/{name}.json", "{\n" + "\n" * (budget - 1) + "}\n")
    assert reason(bundle, "line budgets") == f"{name}.json has {budget + 1} lines; wanted at most {budget}"


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("$[x for x in @data]", "holds a lambda or a comprehension"),
        ("$lambda x: x", "holds a lambda or a comprehension"),
        ("$dict((x, 1) for x in @data)", "holds a lambda or a comprehension"),
        ("$@data +", "is no Python expression"),
        ("$" + " + ".join(["@data"] * 12), "has 94 characters; wanted at most 80"),
    ],
)
def test_an_expression_that_is_a_program_is_refused(bundle: Path, expression: str, complaint: str) -> None:
    edit(bundle, "inference", lambda config: config["dataset"].update(data=expression))
    assert f"inference.json: dataset#data {complaint}" in reason(bundle, "expressions")


def test_ids_out_of_order_are_named(bundle: Path) -> None:
    edit(bundle, "inference", lambda config: config.update(preprocessing=config.pop("preprocessing")))
    assert reason(bundle, "order of ids") == "inference.json: 'run' stands before 'preprocessing'"


def test_a_hyper_parameter_before_the_paths_is_named(bundle: Path) -> None:
    def push(config: dict[str, Any]) -> None:
        content = {"_desc_": config["_desc_"], "depth": 1, **config}
        config.clear()
        config.update(content)

    edit(bundle, "train", push)
    assert reason(bundle, "order of ids") == "train.json: 'depth' stands before 'ckpt_path'"


@pytest.mark.parametrize(("name", "key"), [("inference", "postprocessing"), ("train", "network"), ("train", "run")])
def test_a_missing_id_is_named(bundle: Path, name: str, key: str) -> None:
    edit(bundle, name, lambda config: config.pop(key))
    assert reason(bundle, "wanted ids") == f"{name}.json lacks {key}"


def test_a_handler_by_reference_is_refused(bundle: Path) -> None:
    edit(bundle, "train", lambda config: config["train"]["handlers"].append("@ema"))
    assert "train#handlers is not a list of objects" in reason(bundle, "wanted ids")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"amp": "$@device.type == 'cuda'"}, "amp takes @device apart"),
        ({"add": {"_target_": "Spacingd", "keys": "image", "pixdim": 1}}, "add#_target_ is Spacingd"),
        ({"add": {"_target_": "Flipd", "keys": ["image_2"]}}, "add#keys#0 is 'image_2'"),
        ({"add": {"_target_": "Flipd", "keys": "image_2"}}, "add#keys is 'image_2'"),
    ],
)
def test_what_consumers_trip_over_is_named(bundle: Path, change: dict[str, Any], complaint: str) -> None:
    edit(bundle, "inference", lambda config: config.update(change))
    assert complaint in reason(bundle, "consumers survive")


def test_own_code_in_imports_is_refused(bundle: Path) -> None:
    edit(bundle, "train", lambda config: config["imports"].append("$from tiny_bundle.data import find_records"))
    assert "train.json: imports#1 names" in reason(bundle, "code in imports")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda config: config["gains"].update(ct=0.6), "gains"),
        (lambda config: config["preprocessing"]["transforms"].pop(), "preprocessing"),
        (lambda config: config["network_def"].update(ct=1.0), "network_def"),
    ],
)
def test_what_training_and_inference_share_is_the_same_text(
    bundle: Path, change: Callable[[dict[str, Any]], Any], key: str
) -> None:
    edit(bundle, "train", change)
    assert reason(bundle, "same text") == f"'{key}' differs between inference.json and train.json"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"source": "mr"}, "repeats 'source' of inference.json"),
        ({"inferer": {"_target_": "SimpleInferer"}}, "defines 'inferer' anew"),
        ({"key_metric": "%configs/train.json#key_metric"}, "key_metric copies from a file"),
    ],
)
def test_an_overlay_states_only_differences(bundle: Path, change: dict[str, Any], complaint: str) -> None:
    edit(bundle, "evaluate", lambda config: config.update(change))
    assert f"evaluate.json{': ' if 'file' in complaint else ' '}{complaint}" in reason(bundle, "overlays")


def test_a_null_that_the_base_does_not_have_is_no_repetition(bundle: Path) -> None:
    edit(bundle, "evaluate", lambda config: config.update(error_range=None))
    assert find(bundle, "overlays").status == "ok"


def test_a_reference_to_nothing_is_named(bundle: Path) -> None:
    edit(bundle, "evaluate", lambda config: config.update(extra="$@gains#pet + @no_such_id"))
    assert reason(bundle, "references") == "evaluate.json: @gains#pet is no id; evaluate.json: @no_such_id is no id"


def test_an_overlay_refers_to_its_base(bundle: Path) -> None:
    edit(bundle, "evaluate", lambda config: config.update(extra="$@gains#ct + @_meta_#version"))
    assert find(bundle, "references").status == "ok"


@pytest.mark.parametrize(
    ("component", "complaint"),
    [
        ({"_target_": "NoSuchTransformd"}, "NoSuchTransformd is nothing in MONAI"),
        ({"_target_": "transmodal.inferers.NoSuchInferer"}, "transmodal.inferers.NoSuchInferer does not exist"),
        ({"_target_": "scripts.networks.Net"}, "scripts.networks.Net; wanted MONAI's bare names"),
        ({"_target_": "syndiff_bundle.networks.Net"}, "syndiff_bundle.networks.Net; wanted MONAI's bare names"),
        ({"_target_": "transmodal.inferers.TargetInferer"}, "missing a required argument: 'target'"),
        ({"_target_": "EnsureChannelFirstd", "keys": "image", "depth": 2}, "unexpected keyword argument 'depth'"),
    ],
)
def test_a_target_that_cannot_be_made_is_named(bundle: Path, component: dict[str, Any], complaint: str) -> None:
    edit(bundle, "inference", lambda config: config.update(extra={"_target_": "torch.nn.Identity", "x": component}))
    said = reason(bundle, "targets")
    assert "inference.json: extra#x: " in said
    assert complaint in said


def test_a_function_handed_over_needs_no_arguments(bundle: Path) -> None:
    function = {"_target_": "tiny_bundle.data.find_records", "_mode_": "callable", "dataset_dir": "x"}
    edit(bundle, "inference", lambda config: config.update(extra=function))
    assert find(bundle, "targets").status == "ok"


def broken_metadata() -> list[tuple[str, Callable[[dict[str, Any]], Any]]]:
    """Changes of good metadata; some break the schema and some do not."""
    tensor = ["network_data_format", "inputs", "image"]

    def at(path: list[str], change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
        def apply(metadata: dict[str, Any]) -> None:
            for key in path:
                metadata = metadata[key]
            change(metadata)

        return apply

    required = "schema version monai_version pytorch_version numpy_version required_packages_version task description"
    fields = [*required.split(), "authors", "copyright", "network_data_format", "changelog", "references", "name"]
    cases = [(f"without {field}", at([], lambda m, f=field: m.pop(f))) for field in fields]
    parts = ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "channel_def", "modality"]
    cases += [(f"input without {part}", at(tensor, lambda t, p=part: t.pop(p))) for part in parts]
    for field in [*fields, "eval_metrics", "supported_apps", "intended_use", "anything"]:
        cases += [
            (f"{field} is {value!r}", at([], lambda m, f=field, v=value: m.update({f: v})))
            for value in ("text", 3, ["a"], [1], {})
        ]
    for part in [*parts, "is_patch_data"]:
        cases += [
            (f"input {part} is {value!r}", at(tensor, lambda t, p=part, v=value: t.update({p: v})))
            for value in ("text", 3, 1.5, True, ["a"], [1.5], [1, "2*n"], {})
        ]
    for value in ("text", 1, True, None, [1], {"inputs": {}}, {"inputs": {}, "outputs": {"pred": 1}}):
        cases += [(f"latent format is {value!r}", at([], lambda m, v=value: m.update(latent_data_format=v)))]
    cases += [
        (f"output is {value!r}", at(tensor[:1], lambda f, v=value: f.update(outputs={"pred": v})))
        for value in ("text", 1, 1.5, False, None, [], {"type": "image"})
    ]
    cases += [("post-processed outputs", at(tensor[:1], lambda f: f.update(post_processed_outputs={"pred": []})))]
    return cases


@pytest.mark.parametrize(("_", "change"), broken_metadata(), ids=lambda value: value if isinstance(value, str) else "")
def test_our_schema_and_the_published_one_agree(_: str, change: Callable[[dict[str, Any]], Any], shared: Path) -> None:
    metadata = json.loads((TEMPLATE / "configs" / "metadata.json").read_text())
    change(metadata)
    published, ours = shared / "schema" / "meta_schema_20240725.json", SCHEMA
    verdicts = [
        jsonschema.Draft201909Validator(json.loads(p.read_text())).is_valid(metadata) for p in (published, ours)
    ]
    assert verdicts[0] == verdicts[1]


def test_metadata_is_checked_against_the_file_given(bundle: Path, tmp_path: Path) -> None:
    write(tmp_path, "schema.json", '{"type": "object", "required": ["price"]}')
    assert (
        reason(bundle, "verify metadata", schema=tmp_path / "schema.json")
        == "ValidationError: 'price' is a required property"
    )


def test_metadata_is_checked_against_our_schema_without_a_network(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contract.running._published", lambda url: None)
    assert find(bundle, "verify metadata").reasons == ("against metadata_schema.json",)
    edit(bundle, "metadata", lambda metadata: metadata.pop("task"))
    assert reason(bundle, "verify metadata") == "ValidationError: 'task' is a required property"


def test_a_network_that_does_not_fit_its_metadata_is_found(bundle: Path) -> None:
    def two_channels(metadata: dict[str, Any]) -> None:
        metadata["network_data_format"]["outputs"]["pred"]["num_channels"] = 2

    edit(bundle, "metadata", two_channels)
    assert "output channel number `1` doesn't match: `2`" in reason(bundle, "verify net in out")


def test_a_missing_property_is_found(bundle: Path, tmp_path: Path) -> None:
    data = write_cases(tmp_path / "data", "case_1")
    edit(bundle, "inference", lambda config: config["dataset"].update(transform="@no_preprocessing"))
    edit(bundle, "inference", lambda config: config.update(no_preprocessing=config["preprocessing"]))
    assert "property 'preprocessing' is missing or under another id" in reason(
        bundle, "properties of inference", data=data
    )


def test_a_part_written_out_where_monai_wants_a_reference_is_named(bundle: Path, tmp_path: Path) -> None:
    data = write_cases(tmp_path / "data", "case_1")
    edit(bundle, "evaluate", lambda config: config.update({"+evaluator": {"key_val_metric": config["key_metric"]}}))
    said = reason(bundle, "properties of evaluation", data=data)
    assert said == "evaluator#key_val_metric is written out; wanted '@key_metric'"


def test_weights_that_fit_in_part_are_refused(bundle: Path) -> None:
    torch.save({"ct.value": torch.ones(1)}, give_weights(bundle))
    assert "found 1 missing (mr.value); wanted exactly the 2 tensors of the network" in reason(bundle, "weights")


def test_weights_inside_a_training_checkpoint_are_refused(bundle: Path) -> None:
    torch.save({"model": {"ct.value": torch.ones(1)}, "epoch": 3}, give_weights(bundle))
    assert "model, epoch: no tensor" in reason(bundle, "weights")


def test_a_network_that_cannot_be_scripted_is_skipped_with_the_reason(bundle: Path) -> None:
    path = bundle / PACKAGE / "networks.py"
    text = path.read_text().replace("return image * self.value", "return eval('image * self.value')")
    path.write_text(text)
    finding = find(bundle, "ckpt export")
    assert finding.status == "skipped"
    assert finding.reasons[0].startswith("network_def cannot be scripted: ")


def test_code_is_importable_only_during_a_check(bundle: Path) -> None:
    before = sys.path.copy()
    assert find(bundle, "forward parameters").status == "ok"
    assert sys.path == before
    assert not [name for name in sys.modules if name.startswith(PACKAGE)]


def test_bundles_with_packages_of_one_name_do_not_see_each_other(tmp_path: Path) -> None:
    first, second = tiny_bundle(tmp_path / "a"), tiny_bundle(tmp_path / "b")
    write(second, f"{PACKAGE}/networks.py", "from torch.nn import Identity as Translators\n")
    assert find(first, "forward parameters").status == "ok"
    assert find(second, "forward parameters").status == "FAIL"
    assert find(first, "forward parameters").status == "ok"


def test_a_check_that_breaks_is_a_failure() -> None:
    def breaks(bundle: Bundle) -> list[str]:
        raise KeyError("nothing here")

    assert run_checks(Bundle("."), [breaks]) == [Finding("breaks", "FAIL", ("KeyError: 'nothing here'",))]


def test_the_report_has_a_line_per_check_and_the_counts() -> None:
    def good(bundle: Bundle) -> list[str]:
        return [Note("scriptable")]

    def bad(bundle: Bundle) -> list[str]:
        return ["first", "second"]

    def absent(bundle: Bundle) -> list[str]:
        raise Skipped("no data")

    bundle = Bundle("/x/ct_mr_a_translation")
    assert verify.report(bundle, run_checks(bundle, [good, bad, absent])).splitlines() == [
        "ct_mr_a_translation (/x/ct_mr_a_translation)",
        "  ok      good: scriptable",
        "  FAIL    bad",
        "            first",
        "            second",
        "  skipped absent: no data",
        "  1 ok, 1 FAIL, 1 skipped",
    ]


def test_the_exit_status_tells_of_failure(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "LICENSE").unlink()
    with pytest.raises(SystemExit) as status:
        verify.main(str(bundle))
    assert status.value.code == 1
    assert "  FAIL    license file\n" in capsys.readouterr().out


def test_a_path_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"found no folder with configs/; wanted a bundle.\n"):
        verify.main(str(tmp_path))


def test_a_bundle_of_this_checkout_is_found_by_name() -> None:
    assert verify.find_bundles(*(path.name for path in BUNDLES)) == BUNDLES
