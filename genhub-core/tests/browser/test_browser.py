"""The pages of runs in headless Chromium: `nox -s browser` says where it is."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import runfolders
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from genhub.report.page import write_report
from genhub.report.side_by_side import write_side_by_side

HAS_AV = importlib.util.find_spec("av") is not None
PAGES = [*runfolders.ALL, "several", *(["film"] if HAS_AV else [])]
FOCUSABLE = "a[href], button, summary, audio, video, [tabindex='0']"
NAMES = """
    const shown = (e) => e.checkVisibility({visibilityProperty: true});
    return [...document.querySelectorAll(arguments[0])].filter(shown).map((e, i) => e.dataset.n = i)
"""


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    made = dict(runfolders.ALL)
    if HAS_AV:
        made["film"] = lambda folder: runfolders.video(folder, "mp4")
    written = {name: write_report(make(folder / name)) for name, make in made.items()}
    for name in ("one", "other"):
        runfolders.compared(folder / name)
        (folder / name / "resolved.yaml").write_text(f"genhub: 1\nname: {name}\n")
    written["several"] = write_side_by_side(
        [folder / "one", folder / "other"], folder / "both.html"
    )
    return {name: path.as_uri() for name, path in written.items()}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that screenshots are kept in."""
    kept = os.environ.get("GENHUB_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ["GENHUB_CHROMIUM"]
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to be root with one
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(os.environ["GENHUB_CHROMEDRIVER"])
    with webdriver.Chrome(options=options, service=service) as browser:
        yield browser


class Page:
    """One page, opened at a size and in a scheme."""

    def __init__(self, driver: Any, uri: str) -> None:
        self.driver, self.uri = driver, uri

    def open(
        self, width: int = 1280, scheme: str = "light", media: str = "screen", script: bool = True
    ) -> Page:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.cdp("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[feature])
        self.cdp("Emulation.setScriptExecutionDisabled", value=not script)
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get(self.uri)
        return self

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def press(self, *keys: str) -> None:
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def until(self, condition: str) -> Any:
        wait = WebDriverWait(self.driver, 10, 0.02)
        return wait.until(lambda d: d.execute_script(f"return {condition}"), condition)


@pytest.fixture
def page(driver: Any, pages: dict[str, str]) -> Any:
    yield lambda name: Page(driver, pages[name])
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


every_page = pytest.mark.parametrize("name", PAGES)


@every_page
def test_the_page_is_quiet_and_asks_for_nothing(page: Any, name: str) -> None:
    shown = page(name).open()
    shown.until("document.readyState == 'complete'")
    assert shown.driver.get_log("browser") == []
    asked = [
        message["params"]["request"]["url"]
        for entry in shown.driver.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [shown.uri]
    assert shown.script("return document.compatMode") == "CSS1Compat"


@every_page
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_reaches_beyond_the_window(page: Any, name: str, width: int) -> None:
    shown = page(name).open(width)
    assert shown.script("return document.documentElement.scrollWidth") <= width


@every_page
def test_media_are_loaded(page: Any, name: str) -> None:
    shown = page(name).open()
    shown.until("[...document.images].every((i) => i.complete)")
    broken = "return [...document.images].filter((i) => !i.naturalWidth).map((i) => i.alt)"
    assert shown.script(broken) == []
    shown.until("[...document.querySelectorAll('audio, video')].every((m) => m.readyState >= 1)")
    lengths = shown.script(
        "return [...document.querySelectorAll('audio, video')].map((m) => m.duration)"
    )
    expected = {"audio": [2, 1.5], "film": [1.5, 0.75], "hostile": [0.2] * 3}.get(name, [])
    assert lengths == pytest.approx(expected, abs=0.01)


@every_page
@pytest.mark.parametrize("script", [True, False])
def test_tab_reaches_every_control_in_order(page: Any, name: str, script: bool) -> None:
    shown = page(name).open(script=script)
    count = len(shown.script(NAMES, FOCUSABLE))
    reached: list[int] = []
    for _ in range(6 * count + 20):  # players have stops of their own inside
        shown.press(Keys.TAB)
        at = shown.script("return document.activeElement.dataset.n ?? null")
        if at is None and reached:
            break
        if at is not None and (not reached or int(at) != reached[-1]):
            reached.append(int(at))
    assert reached == list(range(count))


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("name", ["pictures", "compared"])
def test_enter_opens_a_picture_and_closes_it(page: Any, name: str, script: bool) -> None:
    shown = page(name).open(script=script)
    small = shown.script("return document.querySelector('.open img').getBoundingClientRect().width")
    shown.script("document.querySelector('.open').focus()")
    shown.press(Keys.ENTER)
    shown.until("document.querySelector('figure:target') != null")
    box = shown.script("return document.querySelector('figure:target').getBoundingClientRect()")
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 900)
    large = "return document.querySelector('figure:target img').getBoundingClientRect().height"
    assert shown.script(large) > 3 * small
    if not script:
        shown.press(Keys.TAB)
    shown.until("document.activeElement.className == 'close'")
    shown.press(Keys.ENTER)
    shown.until("document.querySelector('figure:target') == null")
    assert shown.script("return document.activeElement.className") == "open"
    assert shown.driver.get_log("browser") == []


def test_escape_and_a_click_beside_it_close_a_picture(page: Any) -> None:
    shown = page("pictures").open()
    for close in (
        lambda: shown.press(Keys.ESCAPE),
        lambda: ActionChains(shown.driver, 0).move_by_offset(640, 400).click().perform(),
    ):
        shown.script("document.querySelector('.open').click()")
        shown.until("document.querySelector('figure:target') != null")
        close()
        shown.until("document.querySelector('figure:target') == null")


def test_the_skip_link_leads_to_the_results(page: Any) -> None:
    shown = page("pictures").open()
    shown.press(Keys.TAB)
    place = "return document.activeElement.getBoundingClientRect().top"
    assert shown.script("return document.activeElement.className") == "skip"
    assert shown.script(place) >= 0  # it is seen once it has the focus
    shown.press(Keys.ENTER)
    shown.until("document.activeElement.id == 'content'")


def test_the_config_is_copied_where_scripts_run(page: Any) -> None:
    shown = page("pictures").open()
    origin = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    shown.cdp("Browser.grantPermissions", **origin)
    shown.script("document.querySelector('.copy button').click()")
    shown.until("document.querySelector('.copy button').textContent == 'Copied'")
    without = page("pictures").open(script=False)
    assert without.script("return document.querySelector('button')") is None


@every_page
def test_print_is_white_and_shows_everything(page: Any, name: str) -> None:
    shown = page(name).open(794, scheme="dark", media="print")
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert shown.script(ground) == "rgb(255, 255, 255)"
    assert shown.script("return getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    clipped = """
        const cut = (e) => e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1;
        const holds = (e) => getComputedStyle(e).overflow != "visible" && cut(e);
        return [...document.querySelectorAll(".wide, pre, figcaption, .plot")].filter(holds).length
    """
    assert shown.script(clipped) == 0
    if name != "hostile":
        assert shown.script("return document.documentElement.scrollWidth") <= 794


@every_page
def test_screenshots_are_kept(page: Any, pictures: Path, name: str) -> None:
    for look, width, scheme, media in (
        ("light", 1280, "light", "screen"), ("dark", 1280, "dark", "screen"),
        ("phone", 360, "light", "screen"), ("print", 794, "light", "print"),
    ):  # fmt: skip
        shown = page(name).open(width, scheme, media)
        shown.until("[...document.images].every((i) => i.complete)")
        height = min(6000, shown.script("return document.documentElement.scrollHeight"))
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = shown.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path = pictures / f"{name}-{look}.png"
        path.write_bytes(base64.b64decode(shot["data"]))
        assert path.stat().st_size > 5000
    printed = base64.b64decode(shown.cdp("Page.printToPDF", printBackground=True)["data"])
    (pictures / f"{name}.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF")
