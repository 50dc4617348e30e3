"""What each of two gloo processes does for test_report.py: evaluate its share of three cases."""

from __future__ import annotations

import json
from pathlib import Path

import ignite.distributed as idist
from torch.utils.data.distributed import DistributedSampler

from tests.common.handlers.evaluation import evaluate, uncertain
from transmodal.handlers import BodyMAE, EvaluationReport, UncertaintyCalibration
from transmodal.metrics import SynthRAD2023, Uniform
from transmodal.transforms import HounsfieldWindow, RobustPercentiles


def evaluate_share(output_dir: Path) -> None:
    """Evaluate this process's cases, and write the report if it is the first."""
    idist.initialize("gloo")
    cases = [uncertain(name, error) for name, error in zip("abc", (10, 20, 60), strict=True)]
    report = EvaluationReport(
        output_dir,
        SynthRAD2023(),
        source="mr",
        target="ct",
        intensity={"ct": HounsfieldWindow(), "mr": RobustPercentiles()},
        baselines=[Uniform()],
    )
    # three cases on two ranks: the sampler repeats the first one
    sampler = DistributedSampler(cases, shuffle=False)  # type: ignore[arg-type]
    evaluator = evaluate(
        cases, [report, UncertaintyCalibration(output_dir)], sampler=sampler, key_val_metric={"body_mae": BodyMAE()}
    )
    values = idist.all_gather(evaluator.state.metrics["body_mae"])
    if idist.get_rank() == 0:
        (output_dir / "key_metric.json").write_text(json.dumps([float(value) for value in values]))
    idist.barrier()
    idist.finalize()  # by both: one that only exits may abort while the other goes on
