"""What to do where a bundle has no weights."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ways_to_weights"]


def ways_to_weights(path: str | Path) -> str:
    """How to get the weights of a bundle that lacks them: whatever exists where the bundle lies.

    Args:
        path: where they are missing, usually ``<bundle>/models/model.pt``.
    """
    bundle = Path(path).resolve().parent.parent
    project = bundle.parent.parent
    came = project / "weights" / bundle.name / "model.pt"
    ways = ["train with `python -m monai.bundle run --config_file configs/train.json`"]
    if came.is_file():
        ways.append(f"use the small weights that came with the project, {came}, by the configs in their weights.json")
    if (project / "tools" / "import_weights.py").is_file():
        ways.append("import a published checkpoint with `tools/import_weights.py`")
    if any(bundle.glob("large_files.*")):
        ways.append("fetch hosted weights with `python -m monai.bundle download_large_files`")
    return ", or ".join([*filter(None, [", ".join(ways[:-1])]), ways[-1]])
