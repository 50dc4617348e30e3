"""What both projectors keep: lengths, orientation, linearity, gradients, bounded memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from transmodal.errors import InputError
from transmodal.projection import ConeBeam, Projector, SiddonProjector, TrilinearProjector

PROJECTORS = pytest.mark.parametrize("method", [SiddonProjector, TrilinearProjector])
GEOMETRY = ConeBeam.covering(100, pixels=(9, 12))
SHAPE = (7, 8, 6)


def affine(shape: tuple[int, ...] = SHAPE, spacing: tuple[float, ...] = (10.0, 9.0, 12.0)) -> Tensor:
    """A grid about the isocentre, its axes to the left, to the back and to the head."""
    matrix = torch.diag(torch.tensor([-spacing[0], -spacing[1], spacing[2], 1.0], dtype=torch.float64))
    matrix[:3, 3] = -matrix[:3, :3] @ ((torch.tensor(shape, dtype=torch.float64) - 1) / 2)
    return matrix


def density(batch: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(batch, 1, *SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)


@PROJECTORS
def test_of_a_uniform_volume_it_gives_the_length_of_each_way(method: type[Projector]) -> None:
    projector = method(GEOMETRY)
    picture = projector(torch.ones(1, 1, *SHAPE, dtype=torch.float64), affine())
    lengths = projector.path_lengths(SHAPE, affine())
    torch.testing.assert_close(picture[0, 0], lengths, atol=1e-9, rtol=0)


def test_the_central_way_is_as_long_as_the_volume_is_deep() -> None:
    projector = SiddonProjector(ConeBeam.covering(10, pixels=(1, 1)))
    assert float(projector.path_lengths(SHAPE, affine())[0, 0]) == pytest.approx(8 * 9)


@PROJECTORS
def test_a_ray_between_voxels_is_no_exception(method: type[Projector]) -> None:
    """Along the boundary of two voxels each counts, and nothing is counted twice."""
    picture = method(ConeBeam.covering(10, pixels=(1, 1)))(torch.ones(1, 1, 2, 4, 2), affine((2, 4, 2)))
    assert float(picture) == pytest.approx(36, rel=1e-5)


@PROJECTORS
@pytest.mark.parametrize("view", ["AP", "PA"])
def test_what_is_on_the_right_at_the_head_is_seen_at_the_top_left(method: type[Projector], view: str) -> None:
    volume = torch.zeros(1, 1, *SHAPE)
    volume[0, 0, 0, 3, -1] = 1  # first along the axis to the left, last along that to the head
    picture = method(ConeBeam.covering(100, pixels=(9, 12), view=view))(volume, affine())[0, 0]
    rows, columns = torch.nonzero(picture > 0).double().mean(0).tolist()
    assert rows < 2
    assert columns < 3


@PROJECTORS
def test_what_is_nearer_to_the_source_is_larger(method: type[Projector]) -> None:
    near, far = (torch.zeros(1, 1, *SHAPE) for _ in range(2))
    near[0, 0, 2:5, -1, 2:4] = far[0, 0, 2:5, 0, 2:4] = 1  # at the back and at the front; the source is behind
    projector = method(ConeBeam.covering(100, pixels=64, source_to_detector=300, source_to_isocentre=200))
    seen = [int((projector(volume, affine()) > 1).sum()) for volume in (near, far)]
    assert seen[0] > 1.3 * seen[1]


@PROJECTORS
def test_the_picture_does_not_depend_on_how_the_volume_is_stored(method: type[Projector]) -> None:
    volume, matrix = density(), affine()
    matrix[:3, 3] += 0.7  # no ray runs between two voxels
    stored = volume.permute(0, 1, 4, 2, 3).flip(2)  # head to feet, then left and back
    turn = torch.zeros(4, 4, dtype=torch.float64)
    turn[0, 1] = turn[1, 2] = turn[3, 3] = 1
    turn[2, 0], turn[2, 3] = -1, SHAPE[2] - 1
    projector = method(GEOMETRY)
    torch.testing.assert_close(projector(stored, matrix @ turn), projector(volume, matrix), atol=1e-6, rtol=0)


@PROJECTORS
def test_it_is_linear(method: type[Projector]) -> None:
    one, other = density(2).chunk(2)
    project = method(GEOMETRY)
    both = project(2 * one - 3 * other, affine())
    torch.testing.assert_close(both, 2 * project(one, affine()) - 3 * project(other, affine()))


@PROJECTORS
def test_a_batch_gives_what_its_volumes_give_alone(method: type[Projector]) -> None:
    volumes = density(3)
    projector = method(GEOMETRY)
    alone = torch.cat([projector(volume[None], affine()) for volume in volumes])
    torch.testing.assert_close(projector(volumes, affine()), alone)


@PROJECTORS
def test_the_gradient_is_that_of_finite_differences(method: type[Projector]) -> None:
    volume = torch.rand(1, 1, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    projector = method(ConeBeam.covering(30, pixels=(2, 3)))
    assert torch.autograd.gradcheck(lambda v: projector(v, affine((3, 2, 3))), volume, fast_mode=True)


@PROJECTORS
def test_rays_in_small_parts_give_the_same_picture_and_gradient(method: type[Projector]) -> None:
    results = []
    for samples in (50, 1_000_000):
        volume = density().requires_grad_()
        picture = method(GEOMETRY, samples_at_once=samples)(volume, affine())
        picture.square().sum().backward()
        results.append((picture.detach(), volume.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-6, atol=1e-6)


@PROJECTORS
def test_no_more_points_are_held_than_allowed(method: type[Projector], monkeypatch: pytest.MonkeyPatch) -> None:
    projector, held = method(GEOMETRY, samples_at_once=100), []
    integrals = projector._integrals

    def counted(volume: Tensor, rays: object) -> Tensor:
        held.append(projector._samples(volume, rays) * len(rays.near))  # type: ignore[arg-type, attr-defined]
        return integrals(volume, rays)  # type: ignore[arg-type]

    monkeypatch.setattr(projector, "_integrals", counted)
    projector(density(), affine())
    assert len(held) > 10
    assert max(held) <= 100


@PROJECTORS
def test_what_the_rays_miss_is_not_seen(method: type[Projector]) -> None:
    beside = affine()
    beside[0, 3] += 500
    picture = method(GEOMETRY)(density(), beside)
    assert picture.shape == (1, 1, 9, 12)
    assert not picture.any()


@PROJECTORS
def test_half_precision_is_integrated_in_single(method: type[Projector]) -> None:
    volume = density(dtype=torch.float16)
    picture = method(GEOMETRY)(volume, affine())
    assert picture.dtype == torch.float32
    torch.testing.assert_close(picture, method(GEOMETRY)(volume.float(), affine()))


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (torch.ones(1, 4, 4, 4), r"found torch.float32 of shape \(1, 4, 4, 4\); wanted floating point"),
        (torch.ones(1, 2, 4, 4, 4), r"shape \(1, 2, 4, 4, 4\)"),
        (torch.ones(1, 1, 4, 4, 4, dtype=torch.int16), "found torch.int16"),
    ],
)
def test_another_density_is_refused(volume: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SiddonProjector(GEOMETRY)(volume, torch.eye(4))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [(torch.eye(3), r"projection, affine: found shape \(3, 3\)"), (torch.zeros(4, 4), "a matrix without inverse")],
)
def test_another_affine_is_refused(matrix: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SiddonProjector(GEOMETRY)(density(), matrix)


@PROJECTORS
@pytest.mark.parametrize("samples", [0, True, "many"])
def test_a_bound_that_cannot_be_meant_is_refused(method: type[Projector], samples: object) -> None:
    with pytest.raises(InputError, match=f"{method.__name__}, samples_at_once: found {samples!r}"):
        method(GEOMETRY, samples_at_once=samples)  # type: ignore[arg-type]
