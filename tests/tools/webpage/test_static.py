"""The page's files: complete, without anything from elsewhere, and the viewer as it was published."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from webpage.settings import PAGE

OWN = sorted(
    path for path in PAGE.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"} and "niivue" not in path.name
)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_viewer_is_the_published_file_that_its_licence_names() -> None:
    content = hashlib.sha256((PAGE / "niivue.js").read_bytes()).hexdigest()
    assert f"SHA-256 {content}" in text_of(PAGE / "niivue.LICENSE.txt")


def test_all_that_the_page_refers_to_is_there() -> None:
    named = re.findall(r'(?:src|href)="static/([^"]+)"', text_of(PAGE / "index.html"))
    imported = [name for path in OWN for name in re.findall(r'from "\./([^"]+)"', text_of(path))]
    assert len(named) > 4
    assert len(imported) > 8
    assert [name for name in {*named, *imported} if not (PAGE / name).is_file()] == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_of_the_page_names_another_host(path: Path) -> None:
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text_of(path).replace("http://www.w3.org/2000/svg", "")) == []


def test_no_code_or_style_is_inline() -> None:
    """A content security policy forbids it, so it would not work."""
    text = text_of(PAGE / "index.html")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", text) == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_text_becomes_code_or_markup(path: Path) -> None:
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text_of(path)) == []
    )
