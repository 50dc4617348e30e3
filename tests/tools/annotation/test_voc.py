"""VOC folders: what is written is read again, in the old form too, and no class is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotation.labels import Labels, labels_of
from annotation.palette import write_indices
from annotation.source import Annotated
from annotation.voc import VOCFolder, VOCLayout, is_voc
from transmodal.errors import InputError

LABELS = labels_of(["body", "arm"], "here")
CLASSES = np.zeros((16, 16), np.int32)
CLASSES[2:12, 2:12] = 1
CLASSES[4:8, 4:8] = 2
CLASSES[14] = -1
OBJECTS = np.where(CLASSES > 0, CLASSES + 2, 0).astype(np.int32)
ALL = np.arange(256, dtype=np.int32).reshape(16, 16)


def annotated(classes: Any = CLASSES, objects: Any = OBJECTS, name: str = "a") -> Annotated:
    picture = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    return Annotated(name, Path(f"{name}.json"), picture, classes, objects, True)


def written(folder: Path, labels: Labels = LABELS, **options: Any) -> Path:
    layout = VOCLayout(labels, **options)
    layout.write(annotated(), folder)
    layout.finish(folder)
    return folder


def test_all_parts_of_the_layout_are_written(tmp_path: Path) -> None:
    parts = {str(path.relative_to(tmp_path)) for path in written(tmp_path).rglob("*") if path.is_file()}
    assert parts == {
        "class_names.txt",
        "JPEGImages/a.jpg",
        *(f"Segmentation{kind}/a.png" for kind in ("Class", "Object")),
        *(f"Segmentation{kind}Npy/a.npy" for kind in ("Class", "Object")),
        *(f"Segmentation{kind}Visualization/a.jpg" for kind in ("Class", "Object")),
    }
    assert (tmp_path / "class_names.txt").read_text(encoding="utf-8").split() == ["_background_", "body", "arm"]
    assert Image.open(tmp_path / "JPEGImages/a.jpg").mode == "RGB"


def test_parts_can_be_left_out(tmp_path: Path) -> None:
    written(tmp_path, objects=False, npy=False, overlays=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["JPEGImages", "SegmentationClass", "class_names.txt"]


def test_ignored_pixels_are_255_in_pictures_and_minus_1_in_arrays(tmp_path: Path) -> None:
    written(tmp_path)
    with Image.open(tmp_path / "SegmentationClass/a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), np.where(CLASSES == -1, 255, CLASSES))
    np.testing.assert_array_equal(np.load(tmp_path / "SegmentationClassNpy/a.npy"), CLASSES)
    assert np.load(tmp_path / "SegmentationObjectNpy/a.npy").min() == 0


@pytest.mark.parametrize("left", ["both", "png", "npy"])
def test_what_is_written_is_read_again(left: str, tmp_path: Path) -> None:
    written(tmp_path)
    gone = {"both": [], "png": ["SegmentationClassNpy/a.npy"], "npy": ["SegmentationClass/a.png"]}[left]
    for name in gone:
        (tmp_path / name).unlink()
    source = VOCFolder(tmp_path)
    read = source.read("a")
    assert source.labels == LABELS
    np.testing.assert_array_equal(read.classes, CLASSES)
    np.testing.assert_array_equal(read.objects, OBJECTS)


@pytest.mark.parametrize("left", ["both", "png", "npy"])
def test_the_old_form_is_read(left: str, tmp_path: Path) -> None:
    """Until labelme 5.3: SegmentationClass held the arrays, SegmentationClassPNG the indices."""
    written(tmp_path)
    (tmp_path / "SegmentationClass").rename(tmp_path / "SegmentationClassPNG")
    (tmp_path / "SegmentationClassNpy").rename(tmp_path / "SegmentationClass")
    if left != "both":
        (tmp_path / {"png": "SegmentationClass/a.npy", "npy": "SegmentationClassPNG/a.png"}[left]).unlink()
    np.testing.assert_array_equal(VOCFolder(tmp_path).read("a").classes, CLASSES)


@pytest.mark.parametrize("kind", ["png", "npy"])
def test_all_classes_from_1_to_255_survive(kind: str, tmp_path: Path) -> None:
    labels = labels_of([f"c{number}" for number in range(1, 256)], "here")
    layout = VOCLayout(labels, npy=kind == "npy", overlays=False, objects=False)
    layout.write(annotated(ALL), tmp_path)
    layout.finish(tmp_path)
    if kind == "npy":
        (tmp_path / "SegmentationClass/a.png").unlink()
    np.testing.assert_array_equal(VOCFolder(tmp_path).read("a").classes, ALL)


def test_a_folder_without_names_has_classes_called_by_number_and_255_is_ignored(tmp_path: Path) -> None:
    VOCLayout(labels_of([f"c{number}" for number in range(1, 256)], "x"), npy=False).write(annotated(ALL), tmp_path)
    source = VOCFolder(tmp_path)
    np.testing.assert_array_equal(source.read("a").classes, np.where(ALL == 255, -1, ALL))
    assert source.labels.names[7] == "7"


def test_a_grey_mask_is_refused(tmp_path: Path) -> None:
    written(tmp_path, npy=False)
    with Image.open(tmp_path / "SegmentationClass/a.png") as image:
        grey = image.convert("L")
    grey.save(tmp_path / "SegmentationClass/a.png")
    with pytest.raises(InputError, match=r"SegmentationClass/a.png: found a picture of mode L.*greys may be"):
        VOCFolder(tmp_path).read("a")


def test_a_mask_in_colours_of_voc_is_mapped_with_a_warning(tmp_path: Path) -> None:
    written(tmp_path, npy=False)
    with Image.open(tmp_path / "SegmentationClass/a.png") as image:
        colours = image.convert("RGB")
    colours.save(tmp_path / "SegmentationClass/a.png")
    source = VOCFolder(tmp_path)
    np.testing.assert_array_equal(source.read("a").classes, CLASSES)
    assert source.warnings == ["a.png has colours instead of indices; read by the palette of VOC"]


def test_two_files_that_say_different_things_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    np.save(tmp_path / "SegmentationClassNpy/a.npy", np.roll(CLASSES, 1))
    with pytest.raises(InputError, match=r"a.png: found another mask than in SegmentationClassNpy/a.npy"):
        VOCFolder(tmp_path).read("a")


def test_classes_without_a_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(InputError, match=r"a.png: found the classes 2; wanted numbers from -1 to 1"):
        VOCFolder(tmp_path, labels_of(["body"], "here")).read("a")


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (CLASSES.astype(np.float32), "float32 of 2 dimensions"),
        (CLASSES[None], "int32 of 3 dimensions"),
        (CLASSES - 1, "int32 of 2 dimensions"),
        (CLASSES.astype(np.int64) + 2**40, "int64 of 2 dimensions"),
    ],
)
def test_arrays_of_no_classes_are_refused(array: Any, told: str, tmp_path: Path) -> None:
    written(tmp_path)
    np.save(tmp_path / "SegmentationClassNpy/a.npy", array)
    with pytest.raises(InputError, match=f"a.npy: found {told}; wanted whole numbers from -1 on"):
        VOCFolder(tmp_path).read("a")


def test_a_broken_array_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "SegmentationClassNpy/a.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a.npy: found no array that can be read"):
        VOCFolder(tmp_path).read("a")


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    written(tmp_path, npy=False)
    write_indices(np.zeros((8, 16), np.uint8), tmp_path / "SegmentationClass/a.png")
    with pytest.raises(InputError, match=r"a.png: found a mask of 16×8 pixels; wanted 16×16, as a.jpg has"):
        VOCFolder(tmp_path).read("a")


def test_a_mask_without_picture_is_refused(tmp_path: Path) -> None:
    (written(tmp_path) / "JPEGImages/a.jpg").unlink()
    with pytest.raises(InputError, match=r"a.png: found a mask without a picture"):
        VOCFolder(tmp_path).read("a")


def test_a_picture_without_mask_is_a_warning(tmp_path: Path) -> None:
    (written(tmp_path) / "JPEGImages/b.jpg").write_bytes(b"")
    source = VOCFolder(tmp_path)
    assert source.names == ["a"]
    assert source.warnings == ["1 pictures have no mask and are left out: b"]


def test_masks_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "SegmentationClassPNG").mkdir()
    (tmp_path / "SegmentationClass/a.png").rename(tmp_path / "SegmentationClassPNG/A.png")
    write_indices(np.zeros((16, 16), np.uint8), tmp_path / "SegmentationClass/a.png")
    with pytest.raises(InputError, match=r"files that would get one name: SegmentationClass/a.png and "):
        VOCFolder(tmp_path)


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "JPEGImages").mkdir()
    assert is_voc(tmp_path)
    with pytest.raises(InputError, match=r"found no masks; wanted JPEGImages/\*.jpg and SegmentationClass"):
        VOCFolder(tmp_path)


def test_more_objects_than_colours_are_refused(tmp_path: Path) -> None:
    objects = np.where(CLASSES == 1, 300, 0).astype(np.int32)
    with pytest.raises(InputError, match=r"a.json: found 300 objects; wanted at most 255 .*\n.*--objects False"):
        VOCLayout(LABELS).write(annotated(objects=objects), tmp_path)
    VOCLayout(LABELS, objects=False).write(annotated(objects=objects), tmp_path)


def test_ignored_pixels_beside_a_class_255_are_refused(tmp_path: Path) -> None:
    labels = labels_of([f"c{number}" for number in range(1, 256)], "here")
    with pytest.raises(InputError, match="found ignored pixels beside a class 255"):
        VOCLayout(labels).write(annotated(), tmp_path)


def test_more_classes_than_colours_are_refused() -> None:
    with pytest.raises(InputError, match="found 256 classes; wanted at most 255"):
        VOCLayout(labels_of([f"c{number}" for number in range(256)], "here"))
