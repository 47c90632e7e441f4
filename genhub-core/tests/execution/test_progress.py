from __future__ import annotations

import re
from typing import Any

import pytest

import genhub
from genhub.execution.progress import figures_table


def test_a_run_tells_tenths_figures_and_last_of_all_where_the_results_are(
    config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config |= {"compare": ["baseline"], "metrics": ["psnr"]}
    config["sampling"]["steps"] = 10
    config["output"]["report"] = True

    result = genhub.run(config, quiet=False)

    out, err = capsys.readouterr()
    tenths = [line for line in err.splitlines() if "%" in line]
    assert len(tenths) == 10 and tenths[-1] == "100 %  step 40 of 40"
    assert "psnr" in out and "baseline" in out
    last = out.splitlines()[-1]
    assert last == (
        f"results: 4 artifacts in {result.folder / 'artifacts'}, report: {result.report}"
    )


def test_variants_with_other_numbers_of_steps_count_with_their_own(
    config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config["sampling"] |= {"steps": 2, "batch": 2}
    genhub.run(config | {"sweep": {"sampling.steps": [1, 3]}}, quiet=False)
    told = [line.split()[-4:] for line in capsys.readouterr().err.splitlines() if "%" in line]
    assert told == [["step", str(done), "of", "6"] for done in range(1, 7)]


def test_warnings_are_told(config: Any, capsys: pytest.CaptureFixture[str]) -> None:
    config["model"]["dtype"] = "fp16"
    config["launch"] = {"devices": "cpu"}
    genhub.run(config, quiet=False)
    assert "warning: model.dtype fp16 is not used" in capsys.readouterr().err


def test_a_run_that_fails_tells_what_is_kept(
    config: Any, registries: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(genhub.GenHubError):
        genhub.run(config | {"metrics": ["broken"]}, quiet=False, registries=registries)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("ended early, kept: 2 artifacts in")
    assert re.search(r"; genhub run \S+ goes on$", last)


def test_a_quiet_run_says_nothing(config: Any, capsys: pytest.CaptureFixture[str]) -> None:
    genhub.run(config)
    assert capsys.readouterr().out == ""


def test_figures_stand_in_columns() -> None:
    table = figures_table(
        {"main": {"steps": {"p50_ms": 12.25}}, "baseline": {"steps": {"count": 0}}},
        {"main": {"joint": 0.51234, "psnr": None}, "baseline": {"joint": 1.0}},
    )
    assert table == [
        "                        main  baseline",
        "joint                 0.5123         1",
        "psnr                       -         -",
        "ms per step (median)   12.25         -",
    ]


def test_the_results_are_told_also_where_the_report_fails(
    config: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_page(folder: Any) -> None:
        raise OSError("the page cannot be written")

    monkeypatch.setattr("genhub.report.page.write_report", no_page)
    config["output"]["report"] = True
    with pytest.raises(genhub.GenHubError):
        genhub.run(config, quiet=False)
    assert "2 artifacts in" in capsys.readouterr().out.splitlines()[-1]
