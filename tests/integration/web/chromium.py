"""A real Chromium without a screen, and what the tests see of its pictures."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",  # as root, as in containers, it starts no other way
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu-watchdog",  # on a busy machine it takes a slow picture for one that hangs
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--use-gl=angle",  # WebGL 2 computed by the processor, where there is no graphics card
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


def program() -> str:
    """Path of the browser; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip(f"no browser is installed ({', '.join(PROGRAMS)}); Debian's package chromium has one")
    return found


def picture(element: Locator) -> NDArray[np.int16]:
    """What is on the screen of an element, (H, W, 3), in [0, 255]."""
    with Image.open(io.BytesIO(element.screenshot())) as image:
        return np.asarray(image.convert("RGB")).astype(np.int16)


def greys(element: Locator) -> int:
    """How many different grey levels an element shows: one if it is blank, few if it has text only."""
    pixels = picture(element)
    return len(np.unique(pixels[np.ptp(pixels, axis=-1) <= 2]))


def coloured(element: Locator) -> float:
    """Fraction of an element's pixels that are clearly of a colour."""
    return float(np.mean(np.ptp(picture(element), axis=-1) > 40))
