"""The image pool: filling, exchanging, refusing, continuing; the published order is in tests/parity."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

from transmodal.data import ImagePool
from transmodal.errors import InputError


def numbered(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 2, 3, 4).contiguous()


def drawn(pool: ImagePool, start: int, stop: int) -> list[int]:
    return [int(pool.query(numbered(value))[0, 0, 0, 0]) for value in range(start, stop)]


def test_images_pass_while_the_pool_fills() -> None:
    assert drawn(ImagePool(size=4), 0, 4) == [0, 1, 2, 3]


def test_a_full_pool_returns_about_half_from_the_past() -> None:
    pool = ImagePool(size=8, seed=3)
    drawn(pool, 0, 8)
    passed = sum(value == index for index, value in enumerate(drawn(pool, 8, 408), start=8))
    assert 160 < passed < 240  # binomial(400, 1/2): 200 +- 4 standard deviations


def test_no_image_is_lost_or_returned_twice() -> None:
    pool = ImagePool(size=5)
    seen = drawn(pool, 0, 40)[5:]  # the first five are both returned and kept
    kept = [int(image[0, 0, 0]) for image in pool.images]
    assert sorted([*seen, *kept]) == list(range(40))


def test_each_image_of_a_batch_is_drawn_by_itself() -> None:
    single, batched = ImagePool(size=3, seed=1), ImagePool(size=3, seed=1)
    expected = drawn(single, 0, 12)
    got = [int(v) for start in range(0, 12, 4) for v in batched.query(numbered(*range(start, start + 4)))[:, 0, 0, 0]]
    assert got == expected


def test_size_zero_returns_the_images_themselves() -> None:
    images = numbered(1, 2)
    torch.testing.assert_close(ImagePool(size=0).query(images), images)


def test_returned_images_carry_no_gradient() -> None:
    images = numbered(1).requires_grad_()
    assert not ImagePool(size=0).query(images).requires_grad
    assert not ImagePool(size=2).query(images).requires_grad


def test_stored_images_do_not_change_with_the_tensor_they_came_from() -> None:
    pool = ImagePool(size=1)
    for value in range(20):  # the first fills the pool, later ones take the place of another
        images = numbered(value)
        pool.query(images)
        images.fill_(99)
        assert pool.images[0].max() < 99


def test_past_images_come_back_in_the_type_of_the_query() -> None:
    pool = ImagePool(size=1)
    pool.query(numbered(0))
    types = {pool.query(numbered(value).bfloat16()).dtype for value in range(1, 12)}
    assert types == {torch.bfloat16}


def test_volumes_pass_too() -> None:
    assert ImagePool(size=2).query(torch.zeros(2, 1, 4, 4, 4)).shape == (2, 1, 4, 4, 4)


def test_another_image_size_is_refused() -> None:
    pool = ImagePool(size=2)
    pool.query(torch.zeros(1, 1, 8, 8))
    with pytest.raises(InputError, match=r"found images of shape \(1, 4, 4\) for a history of \(1, 8, 8\);"):
        pool.query(torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("size", [-1, "50", True, 2.0])
def test_a_size_that_is_no_count_is_refused(size: Any) -> None:
    with pytest.raises(InputError, match="ImagePool, size: found"):
        ImagePool(size=size)


def test_its_random_numbers_are_its_own() -> None:
    import random

    random.seed(0)
    before = random.getstate()
    drawn(ImagePool(size=2), 0, 20)
    assert random.getstate() == before


def test_continues_from_a_safely_loaded_state() -> None:
    straight, first, second = ImagePool(size=3), ImagePool(size=3), ImagePool(size=3, seed=99)
    expected = drawn(straight, 0, 30)[15:]
    drawn(first, 0, 15)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert drawn(second, 15, 30) == expected


def test_a_state_of_a_larger_pool_is_refused() -> None:
    large = ImagePool(size=3)
    drawn(large, 0, 3)
    with pytest.raises(ValueError, match="a pool of 2 images cannot hold the 3 of the saved state"):
        ImagePool(size=2).load_state_dict(large.state_dict())
