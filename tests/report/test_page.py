"""The page as text: its numbers, its anchors, and that nothing in it runs or is fetched."""

import json
import re
from pathlib import Path

import pytest

from reproduce.cli import main
from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, SCALES
from reproduce.report.claims import claim_of
from reproduce.report.networks import curve_data, networks
from reproduce.report.page import LIMIT, Request, render_page
from reproduce.report.tables import read_tables
from tests.report.pages import EVIL, example_tables


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example_tables(tmp_path_factory.mktemp("report"))


def _page(tables: Path) -> str:
    return render_page(Request("demo", tables, Path("unused"), tables / "no-runs"))


def test_claims_count_the_page_verdicts(tables: Path) -> None:
    (table,), absent = read_tables(tables, "demo")
    claim = claim_of(table)
    assert claim.text == "LS loss over Baseline: +0.8 to +3.9 points of mIoU in 7 rows."
    expected = {("not run", 5, "none"), ("weaker", 1, "part"), ("not seen", 1, "none")}
    assert set(claim.verdicts) == expected
    assert (table.stale(), table.missing()) == (1, 14)
    assert "table2" in absent


def test_everything_is_escaped(tables: Path) -> None:
    page = _page(tables)
    assert EVIL not in page
    assert "<script>window" not in page
    assert "&lt;script&gt;window.evil" in page
    assert page.count("<script") == 2  # the curves and the page's own


def test_nothing_comes_from_elsewhere(tables: Path) -> None:
    page = _page(tables)
    sources = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", page)
    links = [s for s in sources if not s.startswith(("data:", "#", "https://"))]
    assert set(links) == {"x"}  # the escaped text of the evil record
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(http" not in page


def test_each_anchor_leads_somewhere_once(tables: Path) -> None:
    page = _page(tables)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_curves(tables: Path) -> None:
    found = list(networks(read_tables(tables, "demo")[0]))
    data = curve_data(found)
    first = data["networks"]["network-table1-fcn32s_resnet101"]
    assert [len(runs) for runs in first["runs"]] == [2, 2]
    series = data["runs"][first["runs"][1][1]]["series"]
    assert series["miou"] == [[25.0, 50.0], [29.1, 32.1]]
    assert [bar.name for bar in found[0].bars][:2] == ["background", "disk"]
    assert found[0].bars[1].base is None
    assert json.dumps(data)


def test_without_tables_says_how(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make table1"):
        _page(tmp_path)


def test_command(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "report.html"
    words = ["report", "--tables", str(tables), "--out", str(out), "--runs", str(tmp_path)]
    assert main(words) == 0
    assert out.read_text().startswith("<!doctype html>")
    assert f"written to {out}" in capsys.readouterr().out


@pytest.mark.parametrize("scale", SCALES)
def test_committed_tables(scale: str, tmp_path: Path) -> None:
    if not list((REPOSITORY / "tables" / scale).glob("*.json")):
        pytest.skip(f"no tables at {scale} scale")
    page = render_page(Request(scale, REPOSITORY / "tables", tmp_path, tmp_path))
    assert len(page.encode()) < LIMIT
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
