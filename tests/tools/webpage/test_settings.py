"""What the command line may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transmodal.errors import InputError
from webpage.settings import LEAST_MEMORY, Settings, _most_memory, is_loopback

BUNDLES = (Path("bundles"),)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_this_machine_alone_no_token_is_needed(host: str) -> None:
    assert is_loopback(host)
    assert Settings(BUNDLES, host=host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "127.0.0.1.example.org"])
def test_beyond_this_machine_a_token_is_drawn_each_time(host: str) -> None:
    first, second = Settings(BUNDLES, host=host).token, Settings(BUNDLES, host=host).token
    assert first
    assert second
    assert first != second
    assert len(first) >= 32


def test_a_token_that_is_given_is_kept_and_not_shown_with_the_settings() -> None:
    settings = Settings(BUNDLES, token="0123456789abcdef")
    assert settings.token == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"token": "short"}, "--token: found 5 characters; wanted 16 or more"),
        ({"port": 70000}, "--port: found 70000; wanted a port from 0 to 65535"),
        ({"retention": 0.0}, "--retention: found 0; wanted a number above 0"),
        ({"max_upload": -1}, "--max-upload-mb: found -1"),
        ({"max_memory": -1}, "--max-memory-mb: found -1; wanted a number above 0, or 0 for no limit"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_by_their_option(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Settings(BUNDLES, **changes)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("MemTotal: 99 kB\nMemAvailable:   16777216 kB\n", 12 << 30),
        ("MemAvailable: 1024 kB\n", LEAST_MEMORY),
        ("MemTotal: 99 kB\n", 0),
        (None, 0),
    ],
)
def test_the_memory_of_a_job_follows_from_what_is_free(tmp_path: Path, text: str | None, most: int) -> None:
    path = tmp_path / "meminfo"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert _most_memory(path) == most


@pytest.mark.parametrize("given", [0, 1 << 30])
def test_a_limit_of_memory_that_is_given_counts(given: int) -> None:
    assert Settings(BUNDLES, max_memory=given).max_memory == given
