"""Parts of a Markdown page."""

from reproduce.report.markdown import parse


def test_parts_of_a_page() -> None:
    page = "# T\n\nSome *text* [a](a.csv) [b](https://b.org).\n\n![P](p.svg)\n\n- one\n- two\n"
    heading, prose, picture, items = parse(page)
    assert (heading.kind, heading.text, heading.level) == ("heading", "T", 1)
    assert prose.html == '<p>Some <em>text</em> a <a href="https://b.org">b</a>.</p>\n'
    assert (picture.kind, picture.source, picture.text) == ("picture", "p.svg", "P")
    assert list(items.items) == ["one", "two"]


def test_table() -> None:
    (table,) = parse("| A | B |\n| --- | ---: |\n| `x` \\| y | **1** |\n")
    assert [cell.text for cell in table.head] == ["A", "B"]
    first, second = table.rows[0]
    assert (first.text, first.number, second.text, second.number) == ("x | y", False, "1", True)
    assert second.html == "<strong>1</strong>"


def test_html_stays_text() -> None:
    (prose,) = parse("a <script>alert(1)</script> [x](javascript:alert(1))\n")
    assert "<script" not in prose.html
    assert "href" not in prose.html
