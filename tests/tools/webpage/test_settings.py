"""What the command line may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transmodal.errors import InputError
from webpage.settings import Settings, is_loopback

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
    ],
)
def test_values_that_cannot_be_meant_are_refused_by_their_option(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Settings(BUNDLES, **changes)
