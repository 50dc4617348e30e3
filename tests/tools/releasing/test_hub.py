"""Metadata and card for the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract import Bundle
from releasing import hub

BUNDLES = sorted(path.parent for path in Path(__file__).resolve().parents[3].glob("bundles/*/configs"))
REQUIRED = (
    "schema version changelog monai_version pytorch_version numpy_version required_packages_version name task "
    "description authors copyright huggingface_url"
)


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_the_metadata_of_each_bundle_are_as_the_hub_wants_them(path: Path) -> None:
    content = hub.metadata(Bundle(path), "someone")
    assert hub.problems_of(content) == []
    assert content["huggingface_url"] == f"https://huggingface.co/someone/{path.name}"
    assert content["huggingface_model_id"] == f"someone/{path.name}"
    assert content["schema"].endswith("/meta_schema_hf_20250321.json")
    assert not [key for key in content if key.endswith("_data_format")]


@pytest.mark.parametrize("field", REQUIRED.split())
def test_a_required_field_that_is_absent_is_told(field: str) -> None:
    content = hub.metadata(Bundle(BUNDLES[0]), "someone")
    del content[field]
    assert hub.problems_of(content) == [f"metadata: '{field}' is a required property"]


def test_an_address_elsewhere_is_told() -> None:
    content = hub.metadata(Bundle(BUNDLES[0]), "someone") | {"huggingface_url": "https://example.org/a/b"}
    (problem,) = hub.problems_of(content)
    assert problem.startswith("huggingface_url: ")


def test_the_card_has_the_hubs_header_and_links_that_lead_somewhere(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path / "ct_mr_a_translation")
    (bundle.root / "docs").mkdir(parents=True)
    bundle.configs.mkdir()
    (bundle.configs / "metadata.json").write_text('{"task": "CT and MR translation"}')
    links = "![f](figures/a.png) [p](https://example.org/x) [s](#data) [m](mailto:a@example.org)"
    (bundle.root / "docs" / "README.md").write_text(f"# Title\n\n{links}\n")
    lines = hub.card(bundle, "someone").splitlines()
    assert lines[:6] == [
        "---",
        'license: "apache-2.0"',
        'library_name: "monai"',
        'tags: ["monai", "medical", "ct-and-mr-translation"]',
        "---",
        "",
    ]
    figure = "https://huggingface.co/someone/ct_mr_a_translation/resolve/main/docs/figures/a.png"
    assert lines[-1] == links.replace("figures/a.png", figure)
