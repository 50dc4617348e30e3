"""The program labelme_to_masks: drawn annotations become masks, all of them or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from annotation.palette import write_indices
from transmodal.data import check_image, check_same_grid, read_sections
from transmodal.transforms import CheckedLoadImaged

Run = Callable[..., str]
Annotate = Callable[..., Path]
BODY = {"label": "body", "points": [[2, 3], [20, 3], [12, 16]], "shape_type": "polygon"}
ARM = {"label": "arm", "points": [[22, 2], [27, 17]], "shape_type": "rectangle", "group_id": 1}
IGNORED = {"label": "__ignore__", "points": [[0, 0], [29, 4]], "shape_type": "rectangle"}


@pytest.fixture
def annotations(annotate: Annotate, tmp_path: Path) -> Path:
    """Pictures of two patients, two slices each, 30 columns and 20 rows."""
    for name in ("p0_1", "p0_2", "p1_1"):
        annotate(tmp_path / f"json/{name}.json", [BODY, ARM])
    annotate(tmp_path / "json/p1_2.json", [BODY, ARM, IGNORED])
    return tmp_path / "json"


def loaded(case: Path, image: str) -> tuple[Any, Any]:
    """Image and mask of a case, as the bundles read them."""
    modality = image.split(".")[0]
    read = (CheckedLoadImaged("image", modality), CheckedLoadImaged("image", "mask"))
    return read[0]({"image": case / image})["image"], read[1]({"image": case / "mask.nii.gz"})["image"]


def test_mr_pictures_become_cases_with_masks(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/new --modality mr --patient '^p\\d'")
    sections = read_sections(tmp_path / "new/dataset.json")
    cases = {case["case"]: case for section in sections.values() for case in section}
    assert sorted(cases) == ["p0_1", "p0_2", "p1_1", "p1_2"]
    assert {case["patient"] for case in cases.values()} == {"p0", "p1"}
    assert {Path(cases["p0_1"][name]).name for name in ("mr", "mask")} == {"mr.png", "mask.nii.gz"}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("flags", "image"), [("--modality mr", "mr.png"), ("--modality ct --window=-1000,1040", "ct.nii.gz")]
)
def test_image_and_mask_lie_on_each_other(
    flags: str, image: str, annotate: Annotate, png_text: Any, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    """Only the annotated pixels are bright, so that any turn, flip or shift of one of the two would show."""
    bright = np.zeros((20, 30), np.uint8)
    bright[3:9, 5:22] = 255
    drawn = {"label": "body", "points": [[5, 3], [21, 8]], "shape_type": "rectangle"}
    annotate(tmp_path / "json/a.json", [drawn], imageData=png_text(bright))
    run_labelme_to_masks(f"{tmp_path}/json --output {tmp_path}/new {flags}")
    picture, mask = loaded(tmp_path / "new/a", image)
    assert tuple(mask.shape) == (30, 20)
    np.testing.assert_array_equal(picture > picture.float().mean(), mask == 1)
    check_same_grid(picture, mask, "image", "mask")
    assert np.diag(mask.affine).tolist() == [-1, -1, 1, 1]


def test_ct_pictures_become_hounsfield_units(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/new --modality ct --window=-1000,1040")
    image, mask = loaded(tmp_path / "new/p0_1", "ct.nii.gz")
    grey = np.add.outer(3 * np.arange(30), 5 * np.arange(20))
    np.testing.assert_array_equal(image, -1000 + grey * 8)
    check_image(mask, "mask", "mask")


def test_by_default_the_body_is_every_class_but_background_and_ignored(
    annotations: Path, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/new --modality mr")
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/arms --modality mr --body arm")
    masks = {place: np.asarray(nibabel.load(tmp_path / place / "mask.nii.gz").dataobj).T for place in
             ("new/p0_1", "new/p1_2", "arms/p0_1")}  # fmt: skip
    assert all(mask.dtype == np.uint8 for mask in masks.values())
    assert masks["arms/p0_1"].sum() == 6 * 16
    assert (masks["new/p0_1"][:, 21:] == masks["arms/p0_1"][:, 21:]).all()
    assert masks["new/p0_1"][:, :21].sum() > 100
    assert not masks["new/p1_2"][:5].any()
    np.testing.assert_array_equal(masks["new/p1_2"][5:], masks["new/p0_1"][5:])


def test_all_classes_of_a_palette_survive_on_their_way_to_a_mask(run_labelme_to_masks: Run, tmp_path: Path) -> None:
    """Each id from 1 to 255 alone is the body once; conversion through grey kept 99 of them."""
    source = tmp_path / "voc"
    for folder in ("JPEGImages", "SegmentationClassPNG"):
        (source / folder).mkdir(parents=True)
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(ids).convert("RGB").save(source / "JPEGImages/a.jpg")
    write_indices(ids, source / "SegmentationClassPNG/a.png")
    (source / "class_names.txt").write_text("\n".join(["_background_", *(f"c{n}" for n in range(1, 256))]), "utf-8")
    for number in (1, 2, 3, 4, 5, 6, 7, 100, 254, 255):
        run_labelme_to_masks(f"{source} --output {tmp_path}/{number} --modality mr --body c{number} --overlays False")
        mask = np.asarray(nibabel.load(tmp_path / f"{number}/a/mask.nii.gz").dataobj).T
        np.testing.assert_array_equal(mask, ids == number)
    run_labelme_to_masks(f"{source} --output {tmp_path}/all --modality mr")
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "all/a/mask.nii.gz").dataobj).T, ids > 0)


def test_through_voc_the_masks_are_the_same(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/voc --to voc --labels __ignore__,_background_,body,arm")
    run_labelme_to_masks(f"{tmp_path}/voc --output {tmp_path}/by_voc --modality mr --body body")
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/direct --modality mr --body body")
    for case in ("p0_1", "p1_2"):
        one, other = (nibabel.load(tmp_path / way / case / "mask.nii.gz") for way in ("by_voc", "direct"))
        np.testing.assert_array_equal(one.dataobj, other.dataobj)
        np.testing.assert_array_equal(one.affine, other.affine)


def test_labels_come_from_a_file(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nbody\narm\n", encoding="utf-8")
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/voc --to voc --labels {tmp_path}/labels.txt")
    classes = np.load(tmp_path / "voc/SegmentationClassNpy/p1_2.npy")
    assert classes[[0, 10, 10, 19], [0, 12, 25, 0]].tolist() == [-1, 1, 2, 0]
    objects = np.load(tmp_path / "voc/SegmentationObjectNpy/p1_2.npy")
    assert objects[[0, 10, 10, 19], [0, 12, 25, 0]].tolist() == [0, 1, 2, 0]


def test_the_table_counts_pixels_of_each_class(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    text = run_labelme_to_masks(f"{annotations} --output {tmp_path}/voc --to voc --labels body,leg,arm")
    rows = [line.split() for line in text.splitlines()]
    assert ["-1", "__ignore__", "1", "150", "6.25%"] in rows  # 5 rows of 30 columns, of 4 × 600 pixels
    assert ["3", "arm", "4", "366", "15.25%"] in rows  # 4 × 6 columns of 16 rows, less 3 rows in one picture
    assert ["never:", "leg"] in rows
    assert "4 pictures; without shapes: 0" in text


def test_pictures_without_shapes_are_background_with_a_warning(
    annotate: Annotate, annotations: Path, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    annotate(annotations / "p1_3.json", [])
    text = run_labelme_to_masks(f"{annotations} --output {tmp_path}/voc --to voc")
    assert "warning: 1 pictures have no shapes and count as all background: p1_3" in text
    assert "5 pictures; without shapes: 1" in text
    assert not np.load(tmp_path / "voc/SegmentationClassNpy/p1_3.npy").any()


def test_a_case_without_body_gets_no_mask_unless_it_is_wanted(
    annotate: Annotate, annotations: Path, run_labelme_to_masks: Run, run_datalist: Run, tmp_path: Path
) -> None:
    annotate(annotations / "p1_3.json", [])
    text = run_labelme_to_masks(f"{annotations} --output {tmp_path}/new --modality mr")
    assert "warning: 1 cases without body get no mask: p1_3" in text
    assert sorted(path.name for path in (tmp_path / "new/p1_3").iterdir()) == ["mr.png", "overlay.png"]
    assert "mask 4, mr 5" in run_datalist(f"{tmp_path}/new")
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/empty --modality mr --empty_masks")
    assert not np.asarray(nibabel.load(tmp_path / "empty/p1_3/mask.nii.gz").dataobj).any()


def test_all_faulty_files_are_named_and_nothing_is_written(
    annotate: Annotate, annotations: Path, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    annotate(annotations / "e1.json", [BODY, {"label": "body", "points": [[1, 1]]}, {"label": ""}])
    annotate(annotations / "e2.json", [BODY | {"label": "leg"}])
    annotate(annotations / "e3.json", imageData=None, imagePath="gone.png")
    annotate(annotations / "e4.json", imageHeight=21)
    (annotations / "e5.json").write_text("{", encoding="utf-8")
    for way in ("--to voc", "--modality mr"):
        text = run_labelme_to_masks(f"{annotations} --output {tmp_path}/new --labels body,arm {way}", status=1)
        assert "6 errors; nothing was written" in text
        for place in (
            "e1.json: shapes[1]",
            "e1.json: shapes[2]",
            "e2.json: shapes[0]",
            "e3.json",
            "e4.json",
            "e5.json",
        ):
            assert f"{annotations}/{place}: found" in text
        assert [path.name for path in tmp_path.iterdir()] == ["json"]


def test_a_colour_picture_is_refused_for_cases_and_kept_for_voc(
    annotate: Annotate, png_text: Any, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    annotate(tmp_path / "json/a.json", [BODY], imageData=png_text(colours))
    text = run_labelme_to_masks(f"{tmp_path}/json --output {tmp_path}/new --modality mr", status=1)
    assert f"{tmp_path}/json/a.json: found colours" in text
    run_labelme_to_masks(f"{tmp_path}/json --output {tmp_path}/voc --to voc")
    assert np.ptp(np.asarray(Image.open(tmp_path / "voc/JPEGImages/a.jpg")), axis=2).max() > 50


def test_a_patient_is_never_split(annotate: Annotate, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    for name in (f"p{patient}/{number}" for patient in range(6) for number in range(3)):
        annotate(tmp_path / f"json/{name}.json", [BODY])
    run_labelme_to_masks(f"{tmp_path}/json --output {tmp_path}/new --modality mr --patient '^(p\\d)_' --test p3")
    sections = json.loads((tmp_path / "new/dataset.json").read_text(encoding="utf-8"))
    assert {case["patient"] for case in sections["test"]} == {"p3"}
    assert [len(sections[name]) for name in ("training", "validation", "test")] == [12, 3, 3]


def test_without_a_patient_in_a_name_nothing_is_written(
    annotations: Path, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    line = f"{annotations} --output {tmp_path}/new --modality mr --patient '^p1'"
    assert "p0_1.json: found no match of '^p1' in the name" in run_labelme_to_masks(line, status=1)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_is_left_alone(
    annotations: Path, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine.txt").write_text("keep", encoding="utf-8")
    text = run_labelme_to_masks(f"{annotations} --output {tmp_path}/new --modality mr", status=1)
    assert f"{tmp_path}/new: found something already; wanted a new folder" in text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.txt"]


def test_the_source_is_only_read(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in annotations.rglob("*")}
    run_labelme_to_masks(f"{annotations} --output {tmp_path}/voc --to voc")
    assert {path: path.stat().st_mtime_ns for path in annotations.rglob("*")} == before


def test_the_conversion_is_recorded(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    run_labelme_to_masks(
        f"{annotations} --output {tmp_path}/new --modality ct --window=-1000,1040 --body body --seed 3"
    )
    made = json.loads((tmp_path / "new/dataset.json").read_text(encoding="utf-8"))["made"]
    assert made == {
        "modality": "ct",
        "window": [-1000, 1040],
        "body": ["body"],
        "from": str(annotations),
        "validation": 0.15,
        "test": 0.15,
        "seed": 3,
    }


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("", "--modality: found none; wanted what the pictures are"),
        ("--modality xyz", "the modalities: found xyz"),
        ("--modality mask", "the modalities: found mask"),
        ("--modality ct", "--window: found CT pictures without a window"),
        ("--modality ct --window=5,5", "--window: found (5, 5); wanted LOW,HIGH"),
        ("--modality mr --window=0,5", "--window: found it with --modality mr; wanted it with ct only"),
        ("--modality mr --body leg", "--body: found 'leg'; wanted some of arm, body"),
        ("--modality mr --patient '('", "--patient: found '('"),
        ("--modality mr --npy False", "--npy: found it with --to cases"),
        ("--to voc --modality mr --body body", "--modality, --body: found it with --to voc"),
        ("--to png", "--to: found png; wanted cases or voc"),
        ("--to voc --overlays=no", "--overlays: found 'no'; wanted True or False"),
        ("--to voc --visual 1", "--visual: found an unknown flag"),
        ("--to voc --labels body,,arm", "--labels: line 2: found a blank line"),
        ("--modality mr --test 2", "--test: found 2"),
    ],
)
def test_wrong_flags_are_refused(
    flags: str, told: str, annotations: Path, run_labelme_to_masks: Run, tmp_path: Path
) -> None:
    assert told in run_labelme_to_masks(f"{annotations} --output {tmp_path}/new {flags}", status=1)
    assert [path.name for path in tmp_path.iterdir()] == ["json"]


def test_missing_places_are_told(annotations: Path, run_labelme_to_masks: Run, tmp_path: Path) -> None:
    assert "ANNOTATIONS: found none" in run_labelme_to_masks(f"--to voc --output {tmp_path}/new", status=1)
    assert "--output: found none" in run_labelme_to_masks(f"{annotations} --to voc", status=1)
    assert "no folder that can be read" in run_labelme_to_masks(f"{tmp_path}/x --to voc --output y", status=1)


def test_help_is_given(run_labelme_to_masks: Run) -> None:
    assert "--window" in run_labelme_to_masks("--help")
