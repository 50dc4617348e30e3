"""How processes share the tests: what belongs together stays in one, what takes long starts first."""

from __future__ import annotations

from pathlib import Path

from xdist.scheduler.loadscope import LoadScopeScheduling
from xdist.workermanage import WorkerController

BUNDLES = sorted(path.parent.name for path in Path(__file__).resolve().parents[1].glob("bundles/*/configs"))
LONGEST = "tests/integration/"
"""Few tests, but with real programs, whose environments are made first."""

FULL_SIZE = "tests/parity/"
"""Few tests as well, some of which run networks of full size."""


def share_of(test: str) -> str:
    """Whose process runs a test: that of its bundle, because each one trains the bundles it tests, or of its file.

    Args:
        test: identifier of pytest, ``<path>::<name>[<parameters>]``.
    """
    path, _, _ = test.partition("::")
    alone = path.startswith(LONGEST)
    return path if alone else next((name for name in BUNDLES if name in test), path)


def turn_of(share: str) -> int:
    """When a share starts, before all of a later turn: whatever may take half a minute does not come last."""
    if share.startswith(LONGEST):
        return 0
    if share in BUNDLES:
        return 1
    return 2 if share.startswith(FULL_SIZE) else 3


class ByBundleOrFile(LoadScopeScheduling):
    """In each turn shares with the most tests start first, so that the processes end at about the same time."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.workqueue:
            self.workqueue.move_to_end(min(self.workqueue, key=turn_of), last=False)
        super()._assign_work_unit(node)
