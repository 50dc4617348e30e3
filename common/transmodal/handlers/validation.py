"""When a training validates: every few epochs, and always after the last one."""

from __future__ import annotations

from ignite.engine import Events
from monai.engines.evaluator import Evaluator
from monai.engines.workflow import Workflow

from transmodal.errors import require_integer

__all__ = ["EpochValidation"]


class EpochValidation:
    """Runs the validator after each ``interval``-th epoch and after the last, so that no training ends unmeasured.

    MONAI's ``ValidationHandler`` leaves the last epochs out where the interval does not divide their number; a training
    shorter than the interval would then never write weights.

    Args:
        validator: an evaluator.
        interval: epochs between validations; 0 for none at all.
    Raises:
        InputError: if the interval is not an integer of 0 or more.
    """

    def __init__(self, validator: Evaluator, interval: int = 1) -> None:
        require_integer("EpochValidation, interval", interval, 0, "give a number of epochs, 0 for no validation")
        self.validator, self.interval = validator, interval

    def attach(self, engine: Workflow) -> None:
        """Validate at the end of epochs."""
        if self.interval:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Validate if this epoch is due."""
        if engine.state.epoch % self.interval == 0 or engine.state.epoch == engine.state.max_epochs:
            self.validator.run(engine.state.epoch)
