"""Faults that are really provoked, and what comes of them: the rows of ``docs/faults.md``."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.faults.place import Place

#: What is kept where a mistake is found before anything is done; it is checked for all of these.
NOTHING = "nothing is begun"


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        area: Section of the document.
        done: What was done.
        kept: What is kept.
        provoke: Does it in a place, checks what is kept and gives the message.
    """

    area: str
    done: str
    kept: str
    provoke: Callable[[Place], str]

    def row(self, message: str) -> str:
        """Its line of the document."""
        shown = message.replace("|", "\\|").replace("`", "'")
        return f"| {self.done} | `{shown}` | {self.kept} |"


CASES: list[Case] = []


def case(
    area: str, done: str, kept: str = NOTHING
) -> Callable[[Callable[[Place], str]], Callable[[Place], str]]:
    """Register a function that provokes a fault."""

    def register(provoke: Callable[[Place], str]) -> Callable[[Place], str]:
        CASES.append(Case(area, done, kept, provoke))
        return provoke

    return register


def mistakes(area: str, rows: dict[str, Callable[[Place], list[str]]]) -> None:
    """Register commands that are mistakes of the user."""

    def give(words: Callable[[Place], list[str]], place: Place) -> str:
        return place.mistake(*words(place))

    for done, words in rows.items():
        case(area, done)(partial(give, words))
