"""What the README's lines use of 3D Slicer: one volume in the scene, its file, and where results are loaded to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any


class mrmlScene:  # named as in Slicer
    """A scene with one volume."""

    @staticmethod
    def GetFirstNodeByClass(name: str) -> str:
        assert name == "vtkMRMLScalarVolumeNode"
        return "scan"


class util:
    """Files in and out, and layers of the views."""

    @staticmethod
    def saveNode(node: str, path: str) -> bool:
        shutil.copyfile(os.environ["SCAN"], path)
        return node == "scan"

    @staticmethod
    def loadVolume(path: str, properties: dict[str, Any]) -> str:
        folder = Path(os.environ["LOADED"])
        shutil.copyfile(path, folder / "loaded.nii.gz")
        (folder / "name.txt").write_text(properties["name"])
        return "synthetic"

    @staticmethod
    def setSliceViewerLayers(background: str, foreground: str, foregroundOpacity: float) -> None:
        assert (background, foreground) == ("scan", "synthetic")
