"""Only what exists is advised."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from transmodal.checkpoints import load_weights
from transmodal.errors import InputError
from transmodal.ways_to_weights import ways_to_weights

WAYS = {
    "weights/some_bundle/model.pt": "use the small weights that came with the project",
    "tools/import_weights.py": "import a published checkpoint with `tools/import_weights.py`",
    "bundles/some_bundle/large_files.yml": "`python -m monai.bundle download_large_files`",
}


@pytest.mark.parametrize("there", [[], *([file] for file in WAYS), [*WAYS]])
def test_only_ways_to_weights_that_exist_are_told(tmp_path: Path, there: list[str]) -> None:
    """In a packed bundle there are no tools and no released weights beside it."""
    for file in there:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    told = ways_to_weights(tmp_path / "bundles" / "some_bundle" / "models" / "model.pt")
    assert told.startswith("train with `python -m monai.bundle run --config_file configs/train.json`")
    assert [file for file, way in WAYS.items() if way in told] == there
    assert told.count(", or ") == (1 if there else 0)


def test_weights_that_came_with_the_project_are_told_by_their_file(tmp_path: Path) -> None:
    came = tmp_path / "weights" / "some_bundle" / "model.pt"
    came.parent.mkdir(parents=True)
    came.touch()
    with pytest.raises(InputError) as caught:
        load_weights(nn.Linear(2, 3), tmp_path / "bundles" / "some_bundle" / "models" / "model.pt")
    assert str(came) in caught.value.remedy
