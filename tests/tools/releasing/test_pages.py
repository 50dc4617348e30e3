"""What the pages of a release tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from contract import Bundle
from releasing.pages import Entry
from tests.packaging.tiny import NAME
from tests.tools.releasing.house import write_record

House = tuple[Bundle, Path]
Built = Callable[..., Path]
VERSION = f"{NAME}_v0.1.0"
GITHUB = "https://github.com/a/b/releases/download/v1"


def test_any_address_is_fetched_by_url() -> None:
    (command,) = Entry(NAME, {}, f"{VERSION}.zip", 1).commands("https://example.org/r", "someone")
    fetch = f"python -m monai.bundle download --name {NAME} --bundle_dir ."
    assert command == f"{fetch} --url https://example.org/r/{VERSION}.zip"


def test_a_release_of_github_and_the_hub_are_fetched_as_such_too(built: Built) -> None:
    text = (built(base_url=GITHUB, owner="someone") / "README.md").read_text()
    assert f"--url {GITHUB}/{VERSION}.zip" in text
    assert "--source github --repo a/b/v1" in text
    assert f"--source huggingface_hub --repo someone/{NAME}" in text


def test_weights_are_told_with_licence_attribution_and_limits(built: Built) -> None:
    folder = built()
    for page in ("README.md", "index.html"):
        text = (folder / page).read_text()
        for told in ("phantoms of thighs", "CC BY 4.0", "A. Author", "multiplies by one number", "Research use only"):
            assert told in text


def test_weights_that_are_kept_apart_are_fetched_by_a_second_command(built: Built) -> None:
    command = f"python -m monai.bundle download_large_files --bundle_path {NAME}"
    assert command not in (built("together") / "README.md").read_text()
    assert command in (built("apart", apart=True) / "README.md").read_text()


def test_a_bundle_without_weights_is_not_said_to_run(built: Built, nothing: Path) -> None:
    text = (built(weights=nothing, owner="someone") / "README.md").read_text()
    assert "no weights" in text
    assert "bundle run" not in text
    assert "--source huggingface_hub" not in text


def test_the_page_fetches_nothing_and_escapes_what_it_tells(built: Built, house: House) -> None:
    write_record(house[1] / NAME, limits="<script>alert('x') & so on</script>")
    text = (built() / "index.html").read_text()
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(text)
    assert "script" not in tags
    assert not {"img", "link", "iframe"} & set(tags)
    assert "&lt;script&gt;alert" in text
    assert not re.search(r"\{\w+\}", text.partition("</style>")[2])
