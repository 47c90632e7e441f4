from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from smallruns import small_config, toy_registries

import genhub
from genhub.api import Section, hookimpl
from genhub.report.page import write_report

HOSTILE = '<script>alert("1")</script><img src=http://evil.example/x onerror=alert(1)>'
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page consists of; complains of tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.text = ""
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
                self.links.append(value)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)
        if not self._open or self._open[-1] not in ("style", "script"):
            self.text += data


def page_of(folder: Path) -> tuple[Page, str]:
    text = (folder / "report.html").read_text(encoding="utf-8")
    return Page(text), text


@pytest.fixture(scope="module")
def made(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    registries = toy_registries()
    config = small_config(model, tmp_path_factory.mktemp("made"))

    class Adding:
        @hookimpl
        def genhub_report(self) -> list[Section]:
            return [
                Section(
                    HOSTILE, text="More <b>text</b>.", table=(["a"], [[1], [None]]),
                    pictures=(("artifacts/000000.png", "again"),), order=55,
                    series={HOSTILE: [(0, 1), (1, 3)]}, axes=("epoch", HOSTILE),
                )
            ]  # fmt: skip

    registries.get("hooks").add("adding", Adding)
    config |= {
        "name": "a<b> & c",
        "attention": [{"type": "gain", "gain": 3.0}],
        "compare": ["baseline"],
        "metrics": ["psnr", "ssim"],
        "hooks": ["adding"],
    }
    config["input"]["prompts"].append(HOSTILE)
    config["output"]["report"] = True
    return genhub.run(config, registries=registries)


def test_the_page_has_all_its_parts(made: Any) -> None:
    assert made.report == made.folder / "report.html"
    page, _ = page_of(made.folder)
    assert page.headings == [
        "Pictures side by side", "Problems", "Figures", "Time", HOSTILE, "Plugins",
        "Attention sites", "Machine and model", "Config",
    ]  # fmt: skip
    for word in (
        "done", "a large red star in the center on white", "psnr", "SSIM", "gain", "toy-dist",
        "nobody (2026)", "unet.mid_block", "genhub: 1", "seed 2", "torch",
    ):  # fmt: skip
        assert word in page.text, word
    # Three samples, each with baseline, variant and difference, and the picture of the section.
    assert page.tags["img"] == 10
    assert page.tags["svg"] == 2


def test_the_page_asks_nothing_of_anybody_else(made: Any) -> None:
    page, text = page_of(made.folder)
    for link in page.links:
        assert link.startswith(("data:image/", "data:,", "#", "artifacts/")), link
    assert page.tags["script"] == page.tags["link"] == 1 and page.tags["iframe"] == 0
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_prompts_and_names_are_text_and_never_markup(made: Any) -> None:
    page, text = page_of(made.folder)
    assert HOSTILE in page.text
    assert text.count("<script") == 1 and "onerror=alert(1)>" not in text
    assert "nobody (2026) <b>On gains</b>" in page.text
    assert "a<b> & c" in page.text


def test_links_lead_to_the_files(made: Any) -> None:
    page, _ = page_of(made.folder)
    files = [link for link in page.links if link.startswith("artifacts/")]
    assert files and all((made.folder / link).is_file() for link in files)


def test_the_page_can_be_written_again_from_the_folder_alone(made: Any) -> None:
    before = (made.folder / "report.html").read_text()
    made.report.unlink()
    assert write_report(made.folder).read_text() == before


def test_a_run_that_failed_shows_what_it_made_and_why_it_ended(
    config: Any, registries: Any
) -> None:
    config |= {"metrics": ["broken"]}
    config["output"]["report"] = True
    with pytest.raises(genhub.GenHubError):
        genhub.run(config, registries=registries)
    page, _ = page_of(Path(config["output"]["dir"]) / "latest")
    assert "failed" in page.text and "GH606" in page.text and "'broken'" in page.text
    assert page.tags["img"] == 2


def test_curves_are_drawn_of_what_was_logged_again_and_again(
    tmp_path: Path, registries: Any
) -> None:
    config = {"genhub": 1, "name": "n", "task": {"type": "count", "to": 5}}
    result = genhub.run(config, output=tmp_path, registries=registries)
    page, text = page_of(result.folder)
    assert "Curves" in page.headings and page.tags["svg"] == 1
    assert 'aria-label="total over step"' in text


def test_no_report_where_none_is_wanted(config: Any) -> None:
    result = genhub.run(config)
    assert result.report is None and not (result.folder / "report.html").exists()
