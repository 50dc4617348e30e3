"""The layouts that tools/datalist.py converts."""

from __future__ import annotations

from collections.abc import Callable

from intake.conversion import Format
from intake.pictures import PicturesAB, PicturesByClass

FORMATS: dict[str, Callable[..., Format]] = {"pictures-ab": PicturesAB, "pictures-classes": PicturesByClass}
