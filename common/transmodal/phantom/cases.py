"""Phantom cases: images of one random patient in memory, or a data set of many on disk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.data import MetaTensor

from transmodal.phantom.anatomy import Region
from transmodal.phantom.grid import Grid
from transmodal.phantom.signals import CONTRASTS, coil_field, ct_image, mr_image, tissue_texture

def make_case(region, seed, shape=(96,96,32), spacing=None, modalities=("ct","mr","mask")):
    entropy = [seed] if isinstance(seed, int) else list(seed)
    def stream(k): return np.random.default_rng([*entropy, k])
    spacing = spacing or tuple(f / n for f, n in zip(region.field_of_view, shape))
    grid = Grid(tuple(shape), tuple(float(s) for s in spacing), region.centre(stream(0)))
    anatomy = region.draw(grid, stream(1))
    texture = tissue_texture(grid, stream(2))
    coil = coil_field(grid, stream(3))
    out = {}
    for i, m in enumerate(modalities):
        if m == "ct": a = ct_image(anatomy, texture, region.ct_noise, region.ct_streaks, stream(10))
        elif m == "mask": a = anatomy.mask()
        elif m == "label": a = anatomy.labels()
        elif m == "lesion": a = anatomy.lesion()
        else: a = mr_image(anatomy, CONTRASTS[m], texture, coil, 0.015, stream(11 + list(CONTRASTS).index(m)))
        out[m] = MetaTensor(torch.from_numpy(np.ascontiguousarray(a))[None], affine=torch.as_tensor(grid.affine))
    return out
