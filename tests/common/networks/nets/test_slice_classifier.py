"""The classifier's shapes, what keeps images to themselves, and the scores by which it abstains."""

from __future__ import annotations

import pytest
import torch

from transmodal.networks.nets import CalibratedClassifier, SliceClassifier


def tiny(**kwargs: object) -> SliceClassifier:
    return SliceClassifier(channels=(8, 16), blocks=(0, 1), **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize(("dims", "shape"), [(2, (3, 1, 16, 20)), (3, (3, 1, 16, 20, 8))])
def test_a_logit_per_class_in_two_and_three_dimensions(dims: int, shape: tuple[int, ...]) -> None:
    assert tiny(spatial_dims=dims, num_classes=5)(torch.randn(shape)).shape == (3, 5)


def test_the_default_is_smaller_than_two_megabytes() -> None:
    assert 4 * sum(each.numel() for each in CalibratedClassifier(SliceClassifier()).state_dict().values()) < 2_000_000


def test_an_answer_does_not_depend_on_the_rest_of_the_batch() -> None:
    network, images = tiny().eval(), torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]))


def test_with_group_norm_this_holds_in_training_too() -> None:
    network, images = tiny(norm=("GROUP", {"num_groups": 4})).train(), torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]))


def test_every_weight_gets_a_gradient() -> None:
    network = tiny()
    network(torch.randn(2, 1, 16, 16)).square().sum().backward()
    assert all(float(weight.grad.abs().sum()) > 0 for weight in network.parameters() if weight.grad is not None)
    assert all(weight.grad is not None for weight in network.parameters())


def test_scores_are_softened_probabilities_and_the_threshold() -> None:
    network = CalibratedClassifier(tiny(), temperature=2.0, threshold=0.75)
    scores = network.scores(torch.tensor([[2.0, 0.0]]))
    sure = 1 / (1 + torch.exp(torch.tensor(-1.0)))  # the logistic function of 2 / 2
    torch.testing.assert_close(scores, torch.tensor([[sure, 1 - sure, 0.75]]))


def test_temperature_and_threshold_travel_with_the_weights() -> None:
    trained, loaded = CalibratedClassifier(tiny(), 3.0, 0.9), CalibratedClassifier(tiny())
    loaded.load_state_dict(trained.state_dict())
    assert (float(loaded.temperature), float(loaded.threshold)) == pytest.approx((3.0, 0.9))


def test_calibration_leaves_the_logits_alone() -> None:
    classifier, image = tiny(), torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(CalibratedClassifier(classifier, 5.0)(image), classifier(image))
