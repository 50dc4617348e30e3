"""What scanners record of an anatomy: CT numbers, spin-echo and inversion-recovery MR signals, noise, bias field.

Spin echo: S = PD (1 - exp(-TR/T1)) exp(-TE/T2). Inversion recovery puts 1 - 2 exp(-TI/T1) + exp(-TR/T1) in its middle.
Gadolinium shortens both times: 1/T = 1/T0 + r c. Sources: Brown et al., Magnetic Resonance Imaging (2014); for Rician
noise Gudbjartsson and Patz, Magn. Reson. Med. (1995).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from transmodal.phantom.anatomy import Anatomy
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.noise import smooth_noise
from transmodal.phantom.tissues import PROPERTIES, Properties, Tissue

_R1, _R2 = 4.5e-3, 5.5e-3  # relaxivities of gadolinium chelates, 1/(ms mmol/l)


@dataclass(frozen=True)
class Contrast:
    """One MR contrast as the scanner's timing.

    Args:
        tr: repetition time in ms.
        te: echo time in ms.
        ti: inversion time in ms; None for a plain spin echo.
        gadolinium: whether the contrast agent has been given.
    """

    tr: float
    te: float
    ti: float | None = None
    gadolinium: bool = False

    def signal(self, tissue: Properties) -> float:
        """Signal of one tissue, signed, relative to fully relaxed water."""
        dose = tissue.uptake if self.gadolinium else 0.0
        t1 = 1 / (1 / tissue.t1 + _R1 * dose)
        t2 = 1 / (1 / tissue.t2 + _R2 * dose)
        recovered = 1 - math.exp(-self.tr / t1)
        if self.ti is not None:
            recovered = 1 - 2 * math.exp(-self.ti / t1) + math.exp(-self.tr / t1)
        return tissue.proton_density * recovered * math.exp(-self.te / t2)


CONTRASTS = {
    "mr": Contrast(tr=500, te=14),
    "t1": Contrast(tr=500, te=14),
    "t1ce": Contrast(tr=500, te=14, gadolinium=True),
    "t2": Contrast(tr=4500, te=95),
    "flair": Contrast(tr=9000, te=110, ti=2400),
}
_MR_NOISE = np.float32(12)  # standard deviation of each channel, where T1 shows fat at 1000
_FULL_SCALE = 1000 / CONTRASTS["t1"].signal(PROPERTIES[Tissue.FAT])


def hounsfield(anatomy: Anatomy, texture: Array) -> Array:
    """CT numbers without scanner noise, HU; ``texture`` has unit variance."""
    image, spread = anatomy.grid.zeros(), anatomy.grid.zeros()
    for tissue, fraction in anatomy.fractions.items():
        image += np.float32(PROPERTIES[tissue].hu) * fraction
        spread += np.float32(PROPERTIES[tissue].hu_texture) * fraction
    return image + spread * texture


def ct_image(anatomy: Anatomy, texture: Array, noise: float, streaks: float, rng: Generator) -> NDArray[np.int16]:
    """CT numbers as reconstructed, whole HU in [-1024, 3071].

    Noise has the ramp-filtered spectrum of filtered back-projection and grows with the attenuation along x and y.

    Args:
        anatomy: the patient.
        texture: unit-variance structure of the tissues.
        noise: standard deviation in the middle of the body, HU.
        streaks: how much the noise along y exceeds that along x, as of photon starvation along a wide body.
        rng: source of the noise.
    """
    image = hounsfield(anatomy, texture)
    image += noise * _starvation(image, anatomy.grid) * _backprojection_noise(anatomy.grid, streaks, rng)
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)


def _starvation(image: Array, grid: Grid) -> Array:
    """Noise amplitude relative to the most attenuating place: the rays through each voxel along x and y."""
    attenuation = np.clip(1 + image / 1000, 0, 2) * np.float32(0.019)  # per mm at about 70 keV
    along_x = attenuation.sum(axis=0, keepdims=True, dtype=np.float32) * np.float32(grid.spacing[0])
    along_y = attenuation.sum(axis=1, keepdims=True, dtype=np.float32) * np.float32(grid.spacing[1])
    variance = np.exp(along_x / 2) + np.exp(along_y / 2)
    amplitude: Array = np.sqrt(variance / variance.max())
    return amplitude


def _backprojection_noise(grid: Grid, streaks: float, rng: Generator) -> Array:
    """Unit-variance noise, slice by slice, with a ramp spectrum up to the kernel's cut-off near 0.45/mm."""
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    fx = np.fft.fftfreq(grid.shape[0], grid.spacing[0]).astype(np.float32)[:, None]
    fy = np.fft.rfftfreq(grid.shape[1], grid.spacing[1]).astype(np.float32)[None, :]
    f2 = fx**2 + fy**2
    power = (np.sqrt(f2) + 0.03) * np.exp(-f2 / 0.35**2)
    power *= 1 + np.float32(streaks) * (fy**2 / np.maximum(f2, 1e-9)) ** 6
    power[0, 0] = 0
    shaped = fft.irfft2(fft.rfft2(white, axes=(0, 1)) * np.sqrt(power)[:, :, None], s=grid.shape[:2], axes=(0, 1))
    return np.asarray(shaped / max(float(shaped.std()), 1e-9), dtype=np.float32)


def mr_image(anatomy: Anatomy, contrast: Contrast, texture: Array, coil: Array, rng: Generator) -> Array:
    """Magnitude MR signal, >= 0, with subcutaneous fat near 1000 in T1.

    Args:
        anatomy: the patient.
        contrast: timing of the sequence.
        texture: unit-variance structure of the tissues.
        coil: multiplicative bias field near 1.
        rng: source of the noise.
    """
    signal = anatomy.grid.zeros()
    for tissue, fraction in anatomy.fractions.items():
        properties = PROPERTIES[tissue]
        mean = contrast.signal(properties) * _FULL_SCALE
        signal += np.float32(mean) * fraction * (1 + np.float32(properties.texture) * texture)
    signal *= coil
    real, imaginary = (rng.standard_normal(signal.shape, dtype=np.float32) * _MR_NOISE for _ in range(2))
    magnitude: Array = np.sqrt((signal + real) ** 2 + imaginary**2)
    return magnitude


def tissue_texture(grid: Grid, rng: Generator) -> Array:
    """Unit-variance structure from millimetres to centimetres."""
    return 0.75 * smooth_noise(rng, 2.5, grid) + 0.66 * smooth_noise(rng, 9.0, grid)


def coil_field(grid: Grid, rng: Generator) -> Array:
    """Receive sensitivity: smooth, multiplicative, about 1 +- 0.1 over the field of view."""
    sensitivity: Array = np.exp(np.float32(0.1) * smooth_noise(rng, 110.0, grid))
    return sensitivity
