"""Simulated patients: random anatomy by region, seen by CT, MR and X-ray according to their physics; no patient data.

>>> from transmodal.phantom import Head, make_case, write_phantoms
>>> images = make_case(Head(), seed=0, modalities=("t1", "flair"))
>>> folders = write_phantoms("phantoms", cases=6)  # paired CT and MR of thighs, with body masks
"""

from __future__ import annotations

from transmodal.phantom.anatomy import Region
from transmodal.phantom.cases import make_case
from transmodal.phantom.chest import Chest
from transmodal.phantom.dataset import write_phantoms
from transmodal.phantom.head import Head
from transmodal.phantom.thigh import Thigh
from transmodal.phantom.tissues import LESION_TISSUES, PROPERTIES, Properties, Tissue
from transmodal.phantom.trunk import Trunk

__all__ = [
    "make_case",
    "write_phantoms",
    "Region",
    "Thigh",
    "Trunk",
    "Head",
    "Chest",
    "Tissue",
    "Properties",
    "PROPERTIES",
    "LESION_TISSUES",
]
