"""Which tests coverage is measured by, of those that ``python3 tools/test.py`` runs."""

from __future__ import annotations

from collections.abc import Generator

import pytest

OWN = "tests/common/"
"""The core's own tests. The others, which use it, would take a third longer, and tell no more about it."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Pause what measures coverage, if something does, while another test runs and its fixtures are made."""
    controller = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    if controller is None or item.nodeid.startswith(OWN):
        return (yield)
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()
