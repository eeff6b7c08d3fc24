"""The report in headless Chromium, where there is one: Debian's ``chromium`` will do."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reproduce.experiments import REPOSITORY
from reproduce.report.page import Request, write_report
from tests.figures.test_examples import voc
from tests.report.pages import EVIL, example_runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
IMAGES = REPOSITORY / "docs" / "images"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    if not CHROMIUM:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    tables, runs, data = example_runs(root, seeds=2)
    for path in (tables / "demo" / "records").glob("*.json"):
        path.write_text(path.read_text().replace("CPU | fast", EVIL.replace('"', "'")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reproduce.figures.examples.data_set", voc)
        write_report(Request("demo", tables, root / "report.html", runs, data))
    return root / "report.html"


def _open(
    browser: "Browser", path: Path, hash_: str = "", **options: Any
) -> tuple["Page", list[str]]:
    page = browser.new_context(**options).new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("data:", path.as_uri()))
            else troubles.append(request.url)
        ),
    )
    page.goto(path.as_uri() + hash_)
    return page, troubles


def test_loads_quietly_and_runs_no_foreign_code(browser: "Browser", report: Path) -> None:
    page, troubles = _open(browser, report)
    assert page.evaluate("window.evil") is None
    assert page.locator(".network:visible .chart svg").count() == 3
    assert troubles == []


def test_sorting(browser: "Browser", report: Path) -> None:
    page, troubles = _open(browser, report)
    table = page.locator("#page-table1 table").first
    column = table.locator("th", has_text="LS loss, ours")
    original = table.locator("tbody th").all_text_contents()
    paper = table.locator("thead th").last
    paper.locator("button").click()
    values = [float(text) for text in table.locator("tbody td:last-child").all_text_contents()]
    assert values == sorted(values, reverse=True)
    assert paper.get_attribute("aria-sort") == "descending"
    column.locator("button").click()
    assert table.locator("tbody th").first.text_content() == "FCN-32s-ResNet101"  # the only number
    column.locator("button").click()
    column.locator("button").click()
    assert table.locator("tbody th").all_text_contents() == original
    assert troubles == []


def test_slider_and_truth(browser: "Browser", report: Path) -> None:
    page, troubles = _open(browser, report)
    figure = page.locator(".compare").first
    figure.locator("input[type=range]").focus()
    page.keyboard.press("Home")
    before = figure.locator(".before")
    assert before.evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 100% 0px 0px)"
    page.keyboard.press("End")
    assert figure.locator(".after").evaluate("e => getComputedStyle(e).clipPath").endswith("100%)")
    assert not figure.locator("img.truth").is_visible()
    figure.locator("input[type=checkbox]").check()
    assert figure.locator("img.truth").is_visible()
    assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0 || !i.offsetParent)")
    assert troubles == []


def test_the_line_follows_a_drag_on_the_picture(browser: "Browser", report: Path) -> None:
    page, troubles = _open(browser, report)
    stage = page.locator(".compare .stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 10)
    page.mouse.up()
    page.mouse.move(box["x"] + 1, box["y"] + 10)
    assert page.locator(".compare input[type=range]").first.input_value() == "25"
    split = stage.evaluate("e => e.parentElement.style.getPropertyValue('--split')")
    assert split == "25%"
    assert troubles == []


def test_curves_say_their_values(browser: "Browser", report: Path) -> None:
    page, troubles = _open(browser, report)
    page.locator(".network:visible .chart svg").first.hover()
    assert "Baseline: " in str(page.locator("#tip").text_content())
    page.mouse.move(0, 0)
    page.locator(".network:visible .chart svg").last.focus()
    page.keyboard.press("ArrowLeft")
    assert str(page.locator("#tip").text_content()).startswith("step 25\n")
    assert troubles == []


def test_a_number_leads_to_its_unfolded_runs(browser: "Browser", report: Path) -> None:
    page, troubles = _open(browser, report)
    page.locator("#page-table1 td a").first.click()
    cell = page.locator("#cells-table1-fcn32s_resnet101-baseline")
    assert cell.is_visible()
    assert cell.locator(".run").count() == 2
    assert troubles == []


def test_colours(browser: "Browser", report: Path) -> None:
    dark = "() => getComputedStyle(document.body).backgroundColor"
    page, _ = _open(browser, report, color_scheme="dark")
    assert page.evaluate(dark) == "rgb(21, 24, 28)"
    page.locator("#theme").click()
    assert page.evaluate(dark) == "rgb(255, 255, 255)"
    page.locator("#theme").click()
    assert page.evaluate(dark) == "rgb(21, 24, 28)"


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_scrolls_down_alone(browser: "Browser", report: Path, width: int) -> None:
    page, _ = _open(browser, report, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.skipif(not os.environ.get("REPRODUCE_SCREENSHOTS"), reason="REPRODUCE_SCREENSHOTS=1")
def test_screenshots(browser: "Browser", tmp_path: Path) -> None:
    """Of the committed demo tables; with pictures if REPRODUCE_RUNS (runs) has their networks."""
    out = tmp_path / "report.html"
    runs = Path(os.environ.get("REPRODUCE_RUNS", "runs"))
    write_report(Request("demo", REPOSITORY / "tables", out, runs))
    IMAGES.mkdir(parents=True, exist_ok=True)
    shots = {
        "wide": ("#", 1200, 1000, "light"),
        "narrow": ("#", 390, 844, "light"),
        "dark": ("#network-table1-fcn8s_resnet101", 1200, 1130, "dark"),
    }
    for name, (hash_, width, height, colours) in shots.items():
        view = {"width": width, "height": height}
        page, troubles = _open(browser, out, hash_, viewport=view, color_scheme=colours)
        page.wait_for_timeout(200)
        page.screenshot(path=IMAGES / f"report_{name}.png")
        assert troubles == []
