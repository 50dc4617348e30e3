"""What tools/datalist.py does with a data set: look at every image, tell what it saw, convert other layouts."""

from __future__ import annotations

from intake.formats import FORMATS, Item, convert
from intake.report import report
from intake.survey import Found, survey

__all__ = ["FORMATS", "Found", "Item", "convert", "report", "survey"]
