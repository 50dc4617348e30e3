"""Training loops: engines that MONAI does not have."""

from transmodal.engines.alternating import AlternatingTrainer, named_losses
from transmodal.engines.batches import move_to_device
from transmodal.engines.draws import CRITICS, GENERATORS, Draws, seeded_draws
from transmodal.engines.phases import Objective, Phase

__all__ = [
    "CRITICS",
    "GENERATORS",
    "AlternatingTrainer",
    "Draws",
    "Objective",
    "Phase",
    "move_to_device",
    "named_losses",
    "seeded_draws",
]
