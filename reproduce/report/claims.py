"""What the paper claims, table by table, with what the pages' fixed rules say of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from reproduce.experiments import TableSpec
from reproduce.report.links import tone
from reproduce.report.tables import Block, Table
from reproduce.tables.overhead import paper_percent
from reproduce.tables.render import paper_gain


class Claim(NamedTuple):
    """A line of the claim table.

    Attributes:
        table: The table.
        text: What the paper claims.
        verdicts: Word, how often, and tone.
        lines: What is said where no rule gives a word; HTML, escaped.
    """

    table: Table
    text: str
    verdicts: Sequence[tuple[str, int, str]]
    lines: Sequence[Markup]


def _scores(spec: TableSpec) -> str:
    gains = [gain for row in spec.rows if (gain := paper_gain(spec, row)) is not None]
    if not gains:
        return "Not in the paper: what it leaves open, one change at a time."
    ours, base = (next(c.label for c in spec.columns if c.key == key) for key in spec.gain)
    return (
        f"{ours} over {base}: {min(gains):+.1f} to {max(gains):+.1f} points of mIoU "
        f"in {len(gains)} {'row' if len(gains) == 1 else 'rows'}."
    )


def _timing(spec: TableSpec) -> str:
    ratios = [v for row in spec.rows for k, v in row.paper_relative.items() if "crf" in k]
    crfs = f"; CRFs multiply it by {min(ratios):g} to {max(ratios):g}" if ratios else ""
    return f"The loss costs no time per image once trained{crfs}."


def _overhead(spec: TableSpec) -> str:
    values = [v for row in spec.rows if (v := paper_percent(row)) is not None]
    return f"A training step takes {', '.join(f'{v:.0f} %' for v in values)} longer with the loss."


#: What the paper claims, by kind of page.
CLAIMS: Mapping[str, Callable[[TableSpec], str]] = {
    "scores": _scores,
    "timing": _timing,
    "overhead": _overhead,
    "details": lambda _: "The loss keeps spatial detail and small objects (no numbers given).",
    "heaviside": lambda _: "MAHF is at least as good as AHF, and both are better than HF.",
    "curves": lambda _: "The loss lowers cross-entropy too, and falls while mIoU rises.",
}


def _tables(blocks: Sequence[Block], column: str) -> list[Block]:
    """Tables with a column of some name."""
    return [b for b in blocks if b.grid and any(name == column for name, _ in b.grid.head)]


def _verdicts(table: Table) -> list[tuple[str, int, str]]:
    """Words under *Verdict* and how often, most frequent first.

    Where the page judges the paper's own statements, those alone.
    """
    words: Counter[str] = Counter()
    judged = _tables(table.blocks, "Verdict")
    for block in _tables(judged, "The paper") or judged:
        place = [cell.text for cell in block.part.head].index("Verdict")
        words.update(row[place].text for row in block.part.rows)
    return [(word, count, tone(word)) for word, count in words.most_common()]


def _join(first: str, *rest: str) -> Markup:
    return Markup("<b>{}</b> {}").format(first, " ".join(rest))


def _statements(table: Table) -> list[Markup]:
    """Lines of Figure 4: each statement with what was seen per network."""
    lines: dict[str, list[str]] = {}
    for block in _tables(table.blocks, "The paper"):
        for network, statement, here, *_ in block.part.rows:
            word = here.text.partition(" (")[0]
            lines.setdefault(statement.text, []).append(f"{network.text}: {word}")
    return [_join(f"{text.partition(' ')[0]}", "; ".join(said)) for text, said in lines.items()]


def _ratios(table: Table) -> list[Markup]:
    """Lines of Table 4: how much slower each method is than the first."""
    lines, heading = [], ""
    for block in table.blocks:
        heading = block.part.text if block.part.kind == "heading" else heading
        names = [cell.text for cell in block.part.head]
        if "relative, ours" in names:
            ours = names.index("relative, ours")
            said = [
                f"{row[0].text} {row[ours].text.partition(' (')[0]}"
                + (f" (paper {row[ours + 1].text})" if row[ours + 1].text != "–" else "")
                for row in block.part.rows[1:]
            ]
            lines.append(_join(f"{heading}:", "; ".join(said)))
    return lines


def _reading(table: Table) -> list[Markup]:
    """The reading of the details, made by the page's rule, of the paper's loss."""
    spec, heading = table.spec, ""
    ours, base = (next(c.label for c in spec.columns if c.key == key) for key in spec.gain)
    for block in table.blocks:
        heading = block.part.text if block.part.kind == "heading" else heading
        found = [item for item in block.part.items if f"{ours} − {base}" in item]
        if heading == "Reading" and found:
            return found
    return []


_LINES: Mapping[str, Callable[[Table], list[Markup]]] = {
    "curves": _statements,
    "timing": _ratios,
    "details": _reading,
}


def claim_of(table: Table) -> Claim:
    """The line of a table."""
    page = table.spec.page
    lines = _LINES[page](table) if page in _LINES else []
    return Claim(table, CLAIMS[page](table.spec), _verdicts(table), lines)
