"""`genhub report`: the page of a run written again, and one page about several runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smallruns import small_config, toy_registries
from test_report import HOSTILE, Page

import genhub
from genhub.cli import main
from genhub.errors import GenHubError
from genhub.report.contrast import MISSING, contrast
from genhub.report.side_by_side import write_side_by_side


@pytest.fixture(scope="module")
def runs(model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs: plain; louder, with a baseline and one prompt less; of other prompts."""
    folder = tmp_path_factory.mktemp("side")
    plain = small_config(model, folder) | {"name": "plain", "metrics": ["caption-accuracy"]}
    plain["output"]["report"] = True
    loud = {
        **plain,
        "name": "loud",
        "attention": [{"type": "gain", "gain": 3.0}],
        "compare": ["baseline"],
        "input": {"prompts": plain["input"]["prompts"][:1]},
    }
    other = {**plain, "name": HOSTILE, "metrics": [], "seed": 50, "sampling": {"steps": 1}}
    other["input"] = {"prompts": [HOSTILE]}
    return [genhub.run(each, registries=toy_registries()).folder for each in (plain, loud, other)]


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_shows_what_differs_and_what_that_did(runs: list[Path], tmp_path: Path) -> None:
    out = write_side_by_side(runs[:2], tmp_path / "page.html")
    page = page_of(out)

    assert page.headings == [
        "Runs", "What differs in their configs", "Figures", "Time",
        "Pictures of the same prompt and seed", "Machines and versions that differ",
    ]  # fmt: skip
    for word in ("attention", "{type: gain, gain: 3.0, where: null}", "compare", "[baseline]"):
        assert word in page.text, word
    assert "sampling.steps" not in page.text  # it is the same
    assert "plugin gain" in page.text and "tokens" not in page.text
    # One pair: A main, B main and their difference; the baseline is only in one of the runs.
    assert page.tags["img"] == 3
    assert "dB" in page.text and "at most" in page.text and "SSIM" in page.text


def test_links_lead_from_the_page_to_files_and_pages(runs: list[Path], tmp_path: Path) -> None:
    out = write_side_by_side(runs[:2], tmp_path / "page.html")
    links = [x for x in page_of(out).links if not x.startswith(("data:", "#"))]
    assert len(links) == 2 + 2
    for link in links:
        assert (out.parent / link).resolve().is_file(), link


def test_it_asks_nothing_of_anybody_else_and_escapes(runs: list[Path], tmp_path: Path) -> None:
    text = write_side_by_side([runs[2], runs[0]], tmp_path / "p.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "<script>alert" not in text
    assert HOSTILE in Page(text).text


def test_it_is_sound_html(runs: list[Path], tmp_path: Path) -> None:
    text = write_side_by_side(runs, tmp_path / "p.html").read_text(encoding="utf-8")
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    root = parser.parse(text)  # raises at the first thing that is not HTML 5
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert {a.get("href")[1:] for a in root.iter("a") if a.get("href")[0] == "#"} <= set(ids)


def test_equal_runs_differ_in_nothing(runs: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(runs[0], twin)
    page = page_of(write_side_by_side([runs[0], twin], tmp_path / "page.html"))
    assert "every field has the same value in all of them" in page.text
    assert "machine, libraries, plugins and weights are the same" in page.text
    assert page.text.count("identical") == 2


def test_other_machines_and_versions_are_told(runs: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(runs[0], twin)
    manifest = json.loads((twin / "manifest.json").read_text())
    manifest["machine"]["cpu"]["model"] = "Other 9000"
    manifest["machine"]["versions"]["torch"] = "1.0"
    del manifest["machine"]["versions"]["numpy"]
    (twin / "manifest.json").write_text(json.dumps(manifest))
    page = page_of(write_side_by_side([runs[0], twin], tmp_path / "page.html"))
    for word in ("cpu.model", "Other 9000", "torch", "1.0", "numpy"):
        assert word in page.text, word


def test_timing_in_turns_is_shown_with_its_words(runs: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(runs[1], twin)
    manifest = json.loads((twin / "manifest.json").read_text())
    figures = {"batch": 1, "ms_per_sample": 9.0, "ms_per_step": 2.0, "rounds_ms": [9.0]}
    manifest["timing"] = {
        "reference": "baseline", "rounds": 1, "order": [["baseline", "main"]],
        "variants": {
            "baseline": figures,
            "main": {**figures, "speedup": {"ratio": 1.1, "low": 0.9, "high": 1.3}},
        },
    }  # fmt: skip
    (twin / "manifest.json").write_text(json.dumps(manifest))
    page = page_of(write_side_by_side([runs[1], twin], tmp_path / "page.html"))
    assert "no difference can be told (0.9 to 1.3), against baseline" in page.text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((0, 0), "is given twice"),
        ((0, "missing"), "is no run folder"),
        ((0, "empty/manifest.json"), "is no run folder"),
        ((0, "empty"), "it has no resolved.yaml that can be read"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(
    runs: list[Path], tmp_path: Path, names: tuple[Any, ...], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copy(runs[0] / "manifest.json", tmp_path / "empty")
    given = [runs[n] if isinstance(n, int) else tmp_path / n for n in names]
    with pytest.raises(GenHubError, match=said) as caught:
        write_side_by_side(given, tmp_path / "page.html")
    assert caught.value.code == "GH608" and not (tmp_path / "page.html").exists()


def test_runs_with_nothing_in_common_make_no_page(
    runs: list[Path], tmp_path: Path, registries: Any
) -> None:
    config = {"genhub": 1, "task": {"type": "count", "to": 1}, "output": {"dir": str(tmp_path)}}
    counted = genhub.run(config, registries=registries).folder
    with pytest.raises(GenHubError, match="nothing in common"):
        write_side_by_side([runs[0], counted], tmp_path / "page.html")


def test_the_command_writes_one_page_or_the_other(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (runs[0] / "report.html").read_bytes()
    (runs[0] / "report.html").unlink()
    assert main(["report", str(runs[0])]) == 0
    assert capsys.readouterr().out == f"{runs[0] / 'report.html'}\n"
    assert (runs[0] / "report.html").read_bytes() == before

    out = tmp_path / "both.html"
    assert main(["report", str(runs[0]), str(runs[1]), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n" and out.is_file()
    assert main(["report", str(runs[0]), "-o", str(out)]) == 1
    assert main(["report", str(tmp_path)]) == 1
    assert "error[GH608]" in capsys.readouterr().err
    assert main(["report", str(runs[0]), str(runs[1]), "-o", str(tmp_path / "no" / "p.html")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_contrast_has_what_differs_and_nothing_else() -> None:
    one = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "m": [{"type": "p", "q": 1}], "same": {"z": [0]}}
    other = {
        "a": 1,
        "b": {"c": [1, 3], "d": "x"},
        "m": [{"type": "r"}],
        "same": {"z": [0]},
        "n": {},
    }
    assert list(contrast([one, other])) == [
        ("b.c.1", ["2", "3"]),
        ("m.0", ["{type: p, q: 1}", "{type: r}"]),
        ("n", [MISSING, "{}"]),
    ]


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(2, 4) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(trees=st.lists(TREES, min_size=2, max_size=3))
def test_a_contrast_is_empty_exactly_for_equal_values(trees: list[Any]) -> None:
    rows = list(contrast(trees))
    assert (rows == []) == all(tree == trees[0] for tree in trees)
    assert list(contrast([*trees, trees[0]])) == [(p, [*c, c[0]]) for p, c in rows]
