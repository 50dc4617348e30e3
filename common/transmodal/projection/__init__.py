"""Radiographs of volumes: cone-beam geometry and line integrals, batched and differentiable."""

from transmodal.projection.density import attenuation, published_density
from transmodal.projection.geometry import ConeBeam
from transmodal.projection.projector import Projector
from transmodal.projection.siddon import SiddonProjector
from transmodal.projection.trilinear import TrilinearProjector

__all__ = ["ConeBeam", "Projector", "SiddonProjector", "TrilinearProjector", "attenuation", "published_density"]
