"""The demo notebook does what it shows, in small: on a phantom, and on a user's files. It is stored as it was run."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import nibabel as nib
import numpy as np
import pytest

from contract.files import MACHINE_PATH
from tests.bundles.tiny import ROOT, TINY, importable
from transmodal.phantom import Head, write_phantoms

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BUNDLE = ROOT / "bundles" / "brain_mri_mudiff_synthesis"
NOTEBOOK = BUNDLE / "docs" / "demo.ipynb"
SOURCES = ["flair", "t2", "t1"]
SHAPE = (24, 26, 2)
ROW = TINY[BUNDLE.name]
SMALL = {
    "BUNDLE": str(BUNDLE),
    "SAMPLES": 2,
    "OVERLAYS": [],
    "SETTINGS": {**ROW.network, "device": "cpu"},
    "EPOCHS": 1,
    "TRAINING": {name: value for name, value in ROW.training.items() if name != "max_epochs"},
    "PHANTOMS": {"cases": 2, "shape": SHAPE},
}
"""The notebook's parameters for a run of seconds; those that are not here stay as they are."""


@dataclass
class Shown:
    """What a run of the notebook left.

    Args:
        work: the folder it wrote to.
        panels: titles of the panels of each figure.
        text: what it printed.
    """

    work: Path
    panels: list[list[str]] = field(default_factory=list)
    text: str = ""


def cells(kind: str = "code") -> list[dict[str, Any]]:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def source_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])  # nbformat allows a text and a list of lines


@contextmanager
def loggers_as_before() -> Iterator[None]:
    """Undo the notebook's choice of who is silent, which a kernel takes with it when it ends."""
    before = levels()
    try:
        yield
    finally:
        for name, level in levels().items():
            if level == logging.ERROR:
                logging.getLogger(name).setLevel(before.get(name, logging.NOTSET))


def levels() -> dict[str, int]:
    known = logging.root.manager.loggerDict.items()
    return {name: logger.level for name, logger in known if isinstance(logger, logging.Logger)}


def execute(work: Path, **parameters: Any) -> Shown:
    """Every code cell in its order in one namespace, as a kernel does, with other values of parameters."""
    given, shown, printed = {**SMALL, "WORK": str(work), **parameters}, Shown(work), []
    namespace: dict[str, Any] = {"__name__": "demo", "print": lambda *words: printed.append(" ".join(map(str, words)))}
    plt.close("all")
    with importable(BUNDLE), loggers_as_before():
        for number, cell in enumerate(cells()):
            exec(compile(source_of(cell), f"{NOTEBOOK.name}, code cell {number}", "exec"), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                assert given.keys() <= namespace.keys()
                namespace.update(given)
    for number in plt.get_fignums():
        shown.panels.append([axes.get_title() for axes in plt.figure(number).axes if axes.get_title()])
    plt.close("all")
    shown.text = "\n".join(printed)
    return shown


@pytest.fixture(scope="module")
def on_a_phantom(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return execute(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def users_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases without the contrast that is to be made, and without masks."""
    folder = tmp_path_factory.mktemp("my_cases")
    write_phantoms(folder, cases=2, seed=7, shape=SHAPE, regions=[Head(skull_stripped=True)], modalities=SOURCES)
    return folder


@pytest.fixture(scope="module")
def on_users_files(on_a_phantom: Shown, users_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    weights = str(on_a_phantom.work / "model.pt")
    return execute(tmp_path_factory.mktemp("demo_on_files"), CASES=str(users_files), WEIGHTS=weights)


def assert_on_the_grid_of(source: Path, results: list[Path]) -> None:
    wanted = nib.load(source)
    for path in results:
        image = nib.load(path)
        assert image.shape == wanted.shape
        np.testing.assert_allclose(image.affine, wanted.affine, atol=1e-4)
        assert np.isfinite(image.get_fdata()).all()


def results(work: Path, case: str) -> list[Path]:
    return [work / "synthetic" / case / name for name in ("t1ce.nii.gz", "t1ce_std.nii.gz")]


def test_a_phantom_is_synthesised_on_its_grid(on_a_phantom: Shown) -> None:
    case = on_a_phantom.work / "phantoms" / "phantom_001"
    assert sorted((on_a_phantom.work / "synthetic").rglob("*.nii.gz")) == results(on_a_phantom.work, case.name)
    assert_on_the_grid_of(case / "flair.nii.gz", results(on_a_phantom.work, case.name))


def test_figures_of_a_phantom_show_truth_error_and_deviation(on_a_phantom: Shown) -> None:
    contrasts = ["FLAIR", "T2", "T1"]
    made = ["T1CE, synthetic", "T1CE, true", "error", "standard deviation"]
    assert on_a_phantom.panels == [[*contrasts, "T1CE"], [*contrasts, *made]]
    assert (on_a_phantom.work / "synthetic" / "demo.png").stat().st_size > 10_000


def test_a_phantom_is_scored_beside_the_baselines_and_calibrated(on_a_phantom: Shown) -> None:
    summary = json.loads((on_a_phantom.work / "evaluation" / "summary.json").read_text())
    assert set(summary["methods"]) >= {"model", "matched copy"}
    for text in (*summary["methods"], "inside the lesion", "rank correlation"):
        assert text in on_a_phantom.text


def test_the_held_out_phantom_is_not_trained_on(on_a_phantom: Shown) -> None:
    split = json.loads((on_a_phantom.work / "training" / "split.json").read_text())
    assert [record["case"] for record in split["training"]] == ["phantom_000"]


def test_a_users_files_are_all_synthesised_on_their_grids(on_users_files: Shown, users_files: Path) -> None:
    for case in ("phantom_000", "phantom_001"):
        assert_on_the_grid_of(users_files / case / "flair.nii.gz", results(on_users_files.work, case))


def test_without_the_true_contrast_nothing_is_compared(on_users_files: Shown) -> None:
    contrasts = ["FLAIR", "T2", "T1"]
    assert on_users_files.panels == [contrasts, [*contrasts, "T1CE, synthetic", "standard deviation"]]
    assert not (on_users_files.work / "evaluation").exists()


def test_with_weights_and_cases_nothing_is_made_up(on_users_files: Shown) -> None:
    assert sorted(path.name for path in on_users_files.work.iterdir()) == ["synthetic"]


def test_a_users_folder_is_left_as_it_was(on_users_files: Shown, users_files: Path) -> None:
    files = sorted(path.relative_to(users_files).as_posix() for path in users_files.rglob("*.*"))
    assert files == sorted(f"phantom_00{k}/{name}.nii.gz" for k in (0, 1) for name in SOURCES)


def test_the_notebook_is_of_format_4_5() -> None:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in ids)
    shared = {"id", "cell_type", "metadata", "source"}
    keys = {"markdown": shared, "code": shared | {"execution_count", "outputs"}}
    assert all(cell.keys() == keys[cell["cell_type"]] for cell in content["cells"])


def test_the_notebook_is_stored_as_it_ran_from_top_to_bottom() -> None:
    assert [cell["execution_count"] for cell in cells()] == list(range(1, len(cells()) + 1))
    outputs = [output for cell in cells() for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data"}
    for cell in cells():
        speaks = re.search(r"^\s*(print|plt\.show)\(", source_of(cell), flags=re.MULTILINE)
        assert bool(cell["outputs"]) >= bool(speaks), source_of(cell)


def test_the_stored_figures_are_pictures() -> None:
    figures = [output["data"]["image/png"] for cell in cells() for output in cell["outputs"] if "data" in output]
    assert len(figures) == 2
    assert all(base64.b64decode(figure).startswith(b"\x89PNG") for figure in figures)


def test_the_notebook_is_small() -> None:
    assert NOTEBOOK.stat().st_size < 600_000


def printed_by(cell: dict[str, Any]) -> str:
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))


@pytest.mark.parametrize("text_of", [source_of, printed_by], ids=["sources", "outputs"])
def test_the_notebook_names_no_folder_of_one_machine(text_of: Callable[[dict[str, Any]], str]) -> None:
    for cell in [*cells(), *cells("markdown")]:
        assert MACHINE_PATH.findall(text_of(cell)) == []
