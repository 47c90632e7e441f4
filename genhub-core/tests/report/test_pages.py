from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import html5lib
import pytest
import runfolders

from genhub.report.figures import COLOURS
from genhub.report.page import write_report

ADDRESSES = ("src", "href", "action", "formaction", "data", "srcset", "poster", "background")
EXTERNAL = re.compile(r"(?i)(?:https?:)?//|javascript:")
CSS = files("genhub.report").joinpath("page.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def written(name: str) -> tuple[Path, str, Any]:
        folder = runfolders.ALL[name](tmp_path_factory.mktemp("runs") / name)
        text = write_report(folder).read_bytes().decode()
        # Strict: the first thing that is not HTML 5 raises.
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        return folder, text, parser.parse(text)

    return written


every_page = pytest.mark.parametrize("name", runfolders.ALL)


def local(name: Any) -> str:
    """Give a name without its namespace."""
    return str(name).rpartition("}")[2]


def each(root: Any, *tags: str) -> list[Any]:
    return [element for element in root.iter() if local(element.tag) in tags]


@every_page
def test_the_page_is_sound_html_and_complete(page_of: Any, name: str) -> None:
    _, text, root = page_of(name)
    assert text.startswith("<!doctype html>") and root.get("lang") == "en"
    assert root.find("head/title").text.strip()
    ids = Counter(e.get("id") for e in root.iter() if e.get("id"))
    assert [i for i, n in ids.items() if n > 1] == []
    for link in each(root, "a"):
        if link.get("href").startswith("#"):
            assert link.get("href")[1:] in ids, link.get("href")
    for tag in ("img", "svg", "audio", "video"):
        for element in each(root, tag):
            assert (element.get("alt") or element.get("aria-label") or "").strip(), tag


@every_page
def test_headings_are_in_order(page_of: Any, name: str) -> None:
    _, _, root = page_of(name)
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch(r"h[1-6]", str(e.tag))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_page
def test_the_page_asks_nothing_of_anybody_else(page_of: Any, name: str) -> None:
    folder, _, root = page_of(name)
    for element in root.iter():
        for key, value in element.attrib.items():
            if local(key) in ADDRESSES:
                assert value.startswith(("data:", "#", "artifacts/")), value[:80]
                if value.startswith("artifacts/"):
                    assert (folder / value).is_file()
            if local(key) == "style":
                assert "url(" not in value and not EXTERNAL.search(value)
    for style in each(root, "style"):
        assert not re.search(r"@import|url\(|//", style.text)
    policy = root.find("head/meta[@http-equiv]").get("content")
    assert policy.startswith("default-src 'none';") and "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]
    assert [str(e.tag) for e in each(root, "script", "link", "iframe", "object", "base")] == [
        "link", "script"
    ]  # fmt: skip


@every_page
def test_no_element_reacts_to_events(page_of: Any, name: str) -> None:
    _, _, root = page_of(name)
    assert [k for e in root.iter() for k in e.attrib if local(k).startswith("on")] == []


def test_hostile_texts_are_shown_as_text_and_never_become_markup(page_of: Any) -> None:
    _, text, root = page_of("hostile")
    shown = "".join(root.itertext())
    for hostile in runfolders.HOSTILE[:4] + runfolders.HOSTILE[6:8]:
        assert hostile in shown, hostile
        if "<" in hostile:
            assert hostile not in text, hostile
    assert text.count("<script") == 1 and text.count("<style") == 1
    assert {e.get("src", "")[:11] for e in each(root, "img")} == {"data:image/"}
    assert "\u202eright to left" in shown  # inside elements that isolate directions
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\uffff]", text)
    assert "49" not in "".join(root.find("body/header").itertext())  # a template is not filled in
    cells = "".join("".join(e.itertext()) for e in each(root, "h1", "h3", "td", "figcaption"))
    assert "(10,000 characters)" in cells and "x" * 600 not in cells


def test_files_outside_the_run_folder_are_neither_shown_nor_linked(page_of: Any) -> None:
    _, text, _ = page_of("hostile")
    assert "etc/passwd" not in text


def test_compared_pictures_stand_beside_their_difference(page_of: Any) -> None:
    _, _, root = page_of("compared")
    cards = root.findall(".//div[@class='card']")
    assert [len(card.findall(".//figure")) for card in cards] == [3, 3, 3]
    captions = ["".join(c.findall(".//figcaption")[2].itertext()) for c in cards]
    assert all(re.match(r"\d\d\.\d dB, SSIM 0\.\d{3}, at most \d+$", c) for c in captions[:2])
    assert captions[2] == "identical"
    assert "1.41 (1.36 to 1.45)" in "".join(root.itertext())


def test_every_picture_opens_and_closes_by_links(page_of: Any) -> None:
    _, _, root = page_of("compared")
    for figure in each(root, "figure"):
        close, opens = figure.findall("a")
        assert opens.get("href") == f"#{figure.get('id')}"
        assert close.get("href") == f"#{opens.get('id')}" and close.text == "Close"


def test_sound_has_a_player_a_spectrum_and_an_envelope(page_of: Any) -> None:
    _, _, root = page_of("audio")
    players = list(each(root, "audio"))
    assert len(players) == 2 and all("controls" in p.attrib for p in players)
    assert all(p.get("src").startswith("data:audio/wav;base64,UklGR") for p in players)
    assert len(root.findall(".//img[@class='mel']")) == 2
    assert "1.5 s, 16000 Hz, 2 channels" in "".join(root.itertext())


def test_video_stands_still_for_those_who_want_that(page_of: Any) -> None:
    _, _, root = page_of("video")
    films = list(each(root, "picture"))
    assert len(films) == 2
    for film in films:
        assert "prefers-reduced-motion: reduce" in film.find("source").get("media")
        assert film.find("img").get("src").startswith("data:image/webp")


def test_mp4_is_played_with_controls(tmp_path: Path) -> None:
    pytest.importorskip("av")
    text = write_report(runfolders.video(tmp_path, "mp4")).read_text()
    assert text.count("<video controls") == 2 and text.count("data:video/mp4;base64,") == 2
    assert "autoplay" not in text


def test_ranks_curves_and_sections_are_drawn(page_of: Any) -> None:
    _, text, root = page_of("training")
    titles = ["".join(h.itertext()) for h in each(root, "h2")]
    assert titles == ["Figures", "Ranks", "Curves", "Which layers", "Machine and model", "Config"]
    shown = "".join(root.itertext())
    assert "rank 1 |....####|" in shown and "123 kB sent" in shown and "1.7 times" in shown
    for drawing in (
        "steps of each rank over time",
        "loss over step",
        "lr over step",
        "accuracy over FLOPs",
    ):
        assert f'aria-label="{drawing}"' in text


def test_a_run_that_failed_or_was_killed_says_so(page_of: Any) -> None:
    shown = "".join(page_of("failed")[2].find("body/header").itertext())
    assert "It was ended by GH305." in shown and "say checkpoint: FILE" in shown
    assert "under way, or was killed" in "".join(page_of("empty")[2].itertext())
    assert "It was interrupted." in "".join(page_of("training")[2].itertext())


def luminance(colour: str) -> float:
    def linear(v: float) -> float:
        return v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4

    r, g, b = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_of_wcag_aa(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[scheme == "dark"]))
    for ground in ("paper", "card"):
        for text in ("ink", "soft", "accent", "good", "bad", "wait"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for graphic in (colours["mark"], *COLOURS):
            assert contrast(graphic, colours[ground]) >= 3, (graphic, ground)


def test_a_section_says_how_much_its_second_axis_spans(tmp_path: Path) -> None:
    def marks(y_range: list[float] | None) -> set[str]:
        section = {
            "title": "t", "text": "", "table": None, "order": 50, "pictures": [],
            "series": {"a": [[0, 0.1], [1, 0.2]]}, "axes": ["x", "y"], "joined": True,
        }  # fmt: skip
        section |= {} if y_range is None else {"y_range": y_range}
        folder = runfolders.write_folder(tmp_path / str(y_range), {"sections": [section]})
        return set(re.findall(r">([\u2212\d.]+)</text>", write_report(folder).read_text()))

    assert {"40", "\u221240"} <= marks([-50, 50])
    assert "40" not in marks(None)
