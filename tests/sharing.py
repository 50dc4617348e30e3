"""How processes share the tests: what belongs together stays in one, what takes long starts first."""

from __future__ import annotations

from pathlib import Path

from xdist.scheduler.loadscope import LoadScopeScheduling
from xdist.workermanage import WorkerController

BUNDLES = sorted(path.parent.name for path in Path(__file__).resolve().parents[1].glob("bundles/*/configs"))
LONGEST = "tests/integration/"
"""Few tests, but with real programs, whose environments are made first."""


def share_of(test: str) -> str:
    """Whose process runs a test: that of its bundle, because each one trains the bundles it tests, or of its file.

    Args:
        test: identifier of pytest, ``<path>::<name>[<parameters>]``.
    """
    path, _, _ = test.partition("::")
    alone = path.startswith(LONGEST)
    return path if alone else next((name for name in BUNDLES if name in test), path)


class ByBundleOrFile(LoadScopeScheduling):
    """After the longest, shares with the most tests start first, so that the processes end at about the same time."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if longest := next((share for share in self.workqueue if share.startswith(LONGEST)), None):
            self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)
