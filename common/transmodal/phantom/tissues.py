"""Tissues of the phantom and what a scanner sees of them.

CT numbers are rounded textbook values for about 120 kV. Relaxation times and proton densities are rounded from the
1.5 T literature (Bottomley et al., Med. Phys. 1984; Stanisz et al., Magn. Reson. Med. 2005; Collins et al., IEEE TMI
1998). Flowing blood has a small effective proton density, because spin echoes lose what moves out of the slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique


@unique
class Tissue(IntEnum):
    """Values of the ``label`` map."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CONNECTIVE = 4
    CORTICAL_BONE = 5
    TRABECULAR_BONE = 6
    YELLOW_MARROW = 7
    BLOOD = 8
    NERVE = 9
    CSF = 10
    GREY_MATTER = 11
    WHITE_MATTER = 12
    LUNG = 13
    GAS = 14
    BOWEL = 15
    FLUID = 16
    ORGAN = 17
    MYOCARDIUM = 18
    OPACIFIED_BLOOD = 19
    MIXED_BLOOD = 20
    CARTILAGE = 21
    CALCIFICATION = 22
    LESION = 23
    NECROSIS = 24
    OEDEMA = 25
    EMBOLUS = 26
    PLAQUE = 27
    COUCH = 28


LESION_TISSUES = (Tissue.LESION, Tissue.NECROSIS, Tissue.OEDEMA, Tissue.PLAQUE, Tissue.EMBOLUS)


@dataclass(frozen=True)
class Properties:
    """What one tissue looks like.

    Args:
        hu: mean CT number.
        hu_texture: standard deviation of its structure in HU, scanner noise apart.
        proton_density: effective, relative to water.
        t1, t2: relaxation times in ms.
        texture: relative standard deviation of its MR signal, scanner noise apart.
        uptake: gadolinium in mmol/l a few minutes after injection.
    """

    hu: float
    hu_texture: float
    proton_density: float
    t1: float
    t2: float
    texture: float = 0.03
    uptake: float = 0.0


PROPERTIES = {
    Tissue.AIR: Properties(-1000, 0, 0, 1000, 100, 0),
    Tissue.SKIN: Properties(25, 10, 0.60, 900, 35, 0.05, uptake=0.2),
    Tissue.FAT: Properties(-102, 6, 1.00, 280, 90, 0.04),
    Tissue.MUSCLE: Properties(55, 5, 0.80, 950, 45, 0.05, uptake=0.05),
    Tissue.CONNECTIVE: Properties(35, 8, 0.40, 900, 20, 0.05),
    Tissue.CORTICAL_BONE: Properties(1350, 90, 0.03, 400, 1, 0.10),
    Tissue.TRABECULAR_BONE: Properties(210, 55, 0.75, 400, 70, 0.08),
    Tissue.YELLOW_MARROW: Properties(-40, 25, 0.95, 290, 85, 0.06),
    Tissue.BLOOD: Properties(45, 3, 0.25, 1400, 150, 0.05, uptake=2.5),
    Tissue.NERVE: Properties(30, 5, 0.75, 1000, 75, 0.05),
    Tissue.CSF: Properties(6, 2, 1.00, 4000, 2000, 0.01),
    Tissue.GREY_MATTER: Properties(38, 1.5, 0.83, 1050, 100, 0.025, uptake=0.02),
    Tissue.WHITE_MATTER: Properties(28, 1.5, 0.71, 570, 80, 0.025, uptake=0.01),
    Tissue.LUNG: Properties(-840, 28, 0.14, 1100, 40, 0.15, uptake=0.1),
    Tissue.GAS: Properties(-990, 4, 0, 1000, 100, 0),
    Tissue.BOWEL: Properties(40, 6, 0.80, 950, 60, 0.05, uptake=0.3),
    Tissue.FLUID: Properties(18, 14, 0.90, 1800, 250, 0.12),
    Tissue.ORGAN: Properties(58, 5, 0.78, 600, 50, 0.05, uptake=0.3),
    Tissue.MYOCARDIUM: Properties(95, 7, 0.80, 950, 50, 0.05, uptake=0.2),
    Tissue.OPACIFIED_BLOOD: Properties(360, 12, 0.25, 1400, 150, 0.05, uptake=2.5),
    Tissue.MIXED_BLOOD: Properties(240, 10, 0.25, 1400, 150, 0.05, uptake=2.5),
    Tissue.CARTILAGE: Properties(85, 12, 0.65, 900, 50, 0.06),
    Tissue.CALCIFICATION: Properties(450, 80, 0.20, 800, 20, 0.10),
    Tissue.LESION: Properties(36, 7, 0.86, 1250, 170, 0.09, uptake=0.45),
    Tissue.NECROSIS: Properties(17, 4, 0.93, 1900, 280, 0.08),
    Tissue.OEDEMA: Properties(21, 2, 0.82, 1150, 150, 0.05),
    Tissue.PLAQUE: Properties(23, 2, 0.84, 1100, 150, 0.04),
    Tissue.EMBOLUS: Properties(55, 8, 0.80, 900, 80, 0.06),
    Tissue.COUCH: Properties(-30, 20, 0, 1000, 100, 0),
}
