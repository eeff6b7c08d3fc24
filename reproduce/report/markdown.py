"""A page's Markdown in parts: headings, prose, pictures, and tables by cell.

The report shows the Markdown pages' own text and numbers; nothing is computed a second time.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        html: Its content, escaped.
        text: Its content without marks.
        number: Whether its column is aligned right.
    """

    html: Markup
    text: str
    number: bool = False


class Part(NamedTuple):
    """A part of a page.

    Attributes:
        kind: ``heading``, ``prose``, ``picture`` or ``table``.
        html: The content of prose, escaped.
        text: The content of a heading or the caption of a picture.
        level: Of a heading.
        source: File of a picture.
        head: Heading of a table.
        rows: Lines of a table.
        items: Those of a list, escaped.
    """

    kind: str
    html: Markup = Markup("")
    text: str = ""
    level: int = 0
    source: str = ""
    head: Sequence[Cell] = ()
    rows: Sequence[Sequence[Cell]] = ()
    items: Sequence[Markup] = ()


#: HTML in Markdown stays text; only what our pages use is on.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")
_RENDERER = RendererHTML()


def _plain(tokens: Sequence[Token]) -> str:
    """Text of inline tokens."""
    return "".join(
        " " if token.type in ("softbreak", "hardbreak") else token.content for token in tokens
    )


def _local(token: Token) -> bool:
    return not str(token.attrGet("href")).startswith(("https://", "http://", "#"))


def _unlink(token: Token) -> None:
    """Drop links to other files, which the report does not have beside it."""
    kept: list[Token] = []
    open_: list[bool] = []
    for child in token.children or []:
        if child.type == "link_open":
            open_.append(_local(child))
        drop = child.type in ("link_open", "link_close") and open_[-1]
        if child.type == "link_close":
            open_.pop()
        if not drop:
            kept.append(child)
    token.children = kept


def _inline(token: Token) -> Markup:
    html = _RENDERER.renderInline(token.children or [], _PARSER.options, {})
    return Markup(html)  # noqa: S704 - escaped by the renderer


def _cell(opening: Token, inline: Token) -> Cell:
    right = "right" in str(opening.attrGet("style") or "")
    return Cell(_inline(inline), _plain(inline.children or []), right)


def _table(tokens: Sequence[Token]) -> Part:
    lines: list[list[Cell]] = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            lines.append([])
        elif token.type in ("th_open", "td_open"):
            lines[-1].append(_cell(token, tokens[place + 1]))
    return Part("table", head=lines[0], rows=lines[1:])


def _groups(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Tokens of each block of the page."""
    start = 0
    for place, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0:
            yield tokens[start : place + 1]
            start = place + 1


def parse(text: str) -> list[Part]:
    """The parts of a page in their order."""
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type == "inline":
            _unlink(token)
    parts = []
    for group in _groups(tokens):
        kind, inside = group[0].type, group[1].children or [] if len(group) > 1 else []
        if kind == "heading_open":
            parts.append(Part("heading", text=_plain(inside), level=int(group[0].tag[1:])))
        elif kind == "table_open":
            parts.append(_table(group))
        elif kind == "paragraph_open" and [child.type for child in inside] == ["image"]:
            source = str(inside[0].attrGet("src"))
            parts.append(Part("picture", text=inside[0].content, source=source))
        else:
            html = Markup(_RENDERER.render(group, _PARSER.options, {}))  # noqa: S704 - as above
            said = _plain(inside) if kind == "paragraph_open" else ""
            items = [_inline(token) for token in group if token.type == "inline"]
            parts.append(Part("prose", html, said, items=items))
    return parts
