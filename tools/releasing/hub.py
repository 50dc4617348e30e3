"""A bundle as the Hugging Face hub and MONAI's list of bundles hosted there describe it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from contract.bundle import Bundle

__all__ = ["HUB", "SCHEMA", "card", "metadata", "problems_of"]

HUB = "https://huggingface.co"
SCHEMA_URL = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_hf_20250321.json"
)
SCHEMA = Path(__file__).with_name("hub_schema.json")
LEFT_OUT = re.compile(r"[A-Za-z0-9_]+_data_format")
LINK = re.compile(r"\]\((?![a-z]+:|#|/)([^)]+)\)")


def metadata(bundle: Bundle, owner: str) -> dict[str, Any]:
    """Metadata of a bundle that the hub hosts in the repository ``<owner>/<bundle>``, as MONAI's list of such wants."""
    kept = {key: value for key, value in bundle.metadata.items() if not LEFT_OUT.fullmatch(key)}
    repository = f"{owner}/{bundle.name}"
    return {
        **kept,
        "schema": SCHEMA_URL,
        "huggingface_model_id": repository,
        "huggingface_url": f"{HUB}/{repository}",
    }


def problems_of(content: Any) -> list[str]:
    """What metadata lack for meta_schema_hf_20250321, a line each; by the project's own equivalent of it."""
    validator = jsonschema.Draft201909Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    errors = sorted(validator.iter_errors(content), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'metadata'}: {error.message}" for error in errors]


def card(bundle: Bundle, owner: str) -> str:
    """The model card, ``docs/README.md``, as README.md of the hub's repository: with its header and whole links."""
    text = (bundle.root / "docs" / "README.md").read_text(encoding="utf-8")
    files = f"{HUB}/{owner}/{bundle.name}/resolve/main/docs"
    header = {
        "license": "apache-2.0",
        "library_name": "monai",
        "tags": ["monai", "medical", *_tags(bundle.metadata)],
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in header.items()]
    return "\n".join(["---", *lines, "---", "", LINK.sub(rf"]({files}/\1)", text)])


def _tags(content: Mapping[str, Any]) -> list[str]:
    return [str(content["task"]).lower().replace(" ", "-")]
