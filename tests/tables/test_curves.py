"""Pages and pictures of figures 4 and 5, from hand-made records."""

import csv
import itertools
import statistics
from pathlib import Path
from typing import Any

import pytest

from reproduce.experiments import read_table
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.plan import cell_config
from reproduce.tables.curves import (
    CLAIMS,
    around_validations,
    correlation,
    end_value,
    judge,
    over_training,
    render_curves,
    render_heaviside,
    tally,
)
from reproduce.tables.curves_figure import (
    BANDS,
    FUNCTIONS,
    draw_curves,
    draw_heaviside,
    mean_line,
    smooth,
    write_curve_data,
)
from reproduce.tables.markdown import CellRun
from reproduce.tables.statistics import Estimate
from tests.tables.examples import make_record

CURVES = read_table("curves", "demo")
HEAVISIDE = read_table("heaviside", "demo")
NETWORK = "deeplab_largefov"

Pair = tuple[float, float]


def curve(entropy: list[float], energy: list[float], every: int = 10) -> dict[str, list[float]]:
    steps = [float(every * (i + 1)) for i in range(len(entropy))]
    return {"step": steps, "train/criterion": entropy, "train/level_set": energy}


def run(row: str, column: str, seed: int, mious: list[float], **changes: Any) -> CellRun:
    """A run with a validation every 20 steps."""
    spec = CURVES if row in {r.key for r in CURVES.rows} else HEAVISIDE
    config = cell_config(spec, *next(spec.cells(f"{row}/{column}")), "demo", seed, {})
    history = [{"step": 20 * (i + 1), "val/miou": miou} for i, miou in enumerate(mious)]
    code = code_fingerprint(config)
    made = {"config": config, "code": code, "history": history, **changes}
    record = make_record(row, column, seed, mious[-1], **made)
    return CellRun(row, column, seed, f"{row}-{column}-{seed}", record)


def training(column: str, seed: int, ends: tuple[float, float, float], **changes: Any) -> CellRun:
    """A run of 100 steps whose losses fall to, and whose mIoU rises to, given values."""
    entropy, energy, miou = ends
    fall = [0.9 - 0.1 * i for i in range(10)]
    made = curve([entropy + v for v in fall], [energy + 100 * v for v in fall])
    made["train/criterion"][-1], made["train/level_set"][-1] = entropy, energy
    mious = [miou - 8, miou - 6, miou - 4, miou - 2, miou]
    return run(NETWORK, column, seed, mious, **{"curve": made, **changes})


def rows_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def values(text: str, quantity: str) -> list[str]:
    """Baseline, level set loss and difference of the first network."""
    return next(r[2:] for r in rows_of(text) if r[:2] == ["DeepLab-LargeFOV", quantity])


def verdicts(text: str) -> list[str]:
    found = [r for r in rows_of(text) if r[0] == "DeepLab-LargeFOV" and r[1].startswith("(")]
    return [r[2] for r in found]


def page(*runs: CellRun) -> str:
    return render_curves(CURVES, "demo", "About.", list(runs))


def pairs(*ends: tuple[tuple[float, float, float], tuple[float, float, float]]) -> list[CellRun]:
    return [
        training(column, seed, both[i])
        for seed, both in enumerate(ends)
        for i, column in enumerate(("baseline", "level_set"))
    ]


def test_experiments_share_their_runs_with_table_1() -> None:
    table = read_table("1", "demo")
    for row, column in CURVES.cells():
        same = next(table.cells(f"{row.key}/{column.key}"))
        assert cell_config(CURVES, row, column, "demo", 0, {}) == cell_config(
            table, *same, "demo", 0, {}
        )
    configs = [cell_config(HEAVISIDE, *c, "demo", 0, {}) for c in HEAVISIDE.cells("*/baseline")]
    assert all(config == configs[0] for config in configs)
    assert {key for claim in CLAIMS for key in claim[1:3]} <= {row.key for row in HEAVISIDE.rows}
    assert set(FUNCTIONS) == {row.key for row in HEAVISIDE.rows} > set(BANDS)
    assert not HEAVISIDE.sensitivity
    assert not CURVES.sensitivity


@pytest.mark.parametrize(("count", "last"), [(1, 1), (9, 1), (10, 1), (11, 2), (50, 5), (51, 6)])
def test_end_is_the_last_tenth(count: int, last: int) -> None:
    found = [float((7 * i) % 13) for i in range(count)]
    record = {"curve": curve(found, found)}
    assert end_value(record, "cross_entropy") == pytest.approx(sum(found[-last:]) / last)


def test_energy_around_validations() -> None:
    history = [{"step": 20, "val/miou": 1.0}, {"step": 40, "val/miou": 2.0}]
    energy = [1.0, 2.0, 4.0, 8.0, 16.0]  # at 10, 20, 30, 40, 50
    record = {"history": history, "curve": curve(energy, energy)}
    assert around_validations(record) == [(7 / 3, 1.0), (28 / 3, 2.0)]
    assert around_validations({**record, "history": history[:1]}) == []
    assert around_validations({"history": history}) == []
    assert around_validations(None) == []


def test_correlation() -> None:
    for order in itertools.permutations(range(5)):
        squares = sum((i - place) ** 2 for i, place in enumerate(order))
        found = correlation([(i, place**3) for i, place in enumerate(order)])
        assert found == pytest.approx(1 - 6 * squares / (5 * 24))
    assert correlation([(1, 2), (2, 2)]) == correlation([(1, 2), (1, 3)]) == correlation([]) == 0


def test_values_at_the_end() -> None:
    text = page(
        *pairs(
            ((0.30, 300.0, 50.0), (0.28, 250.0, 53.0)),
            ((0.34, 320.0, 52.0), (0.30, 260.0, 54.0)),
        )
    )
    wide = 12.706204736  # Student's t, one degree of freedom
    for quantity, digits, base, ours in (
        ("cross-entropy", 3, (0.30, 0.34), (0.28, 0.30)),
        ("E_LS", 1, (300, 320), (250, 260)),
        ("mIoU (%)", 2, (50, 52), (53, 54)),
    ):
        difference = [a - b for a, b in zip(ours, base, strict=True)]
        expected = [
            f"{statistics.mean(found):{sign}.{digits}f}"
            f" ± {wide * statistics.stdev(found) / 2**0.5:.{digits}f}"
            for found, sign in ((base, ""), (ours, ""), (difference, "+"))
        ]
        assert values(text, quantity) == expected
    assert verdicts(text) == [
        "seen in 2 of 2 seeds",
        "seen in 2 of 2 seeds (ρ -1.00, -1.00; baseline -1.00, -1.00)",
        "seen in 2 of 2 seeds",
    ]
    assert "](curves.svg)" in text
    assert "](curves.csv)" in text
    assert "| `deeplab_largefov-level_set-1` | deeplab_largefov/level_set | 1 |" in text


def test_statements_at_their_edges() -> None:
    equal, better, worse = (0.3, 300.0, 50.0), (0.2, 200.0, 60.0), (0.4, 400.0, 40.0)
    assert verdicts(page(*pairs((equal, equal))))[::2] == ["not seen: in 0 of 1 seed"] * 2
    assert verdicts(page(*pairs((better, worse))))[::2] == [
        "not seen: in 0 of 1 seed",
        "seen in 1 of 1 seed",
    ]
    split = verdicts(page(*pairs((equal, better), (equal, (0.2, 200.0, 40.0)))))
    assert split[::2] == ["seen in 2 of 2 seeds", "seen in 1 of 2 seeds"]


@pytest.mark.parametrize(
    ("mious", "verdict"),
    [
        ([1.0, 4.0, 3.0, 2.0, 5.0], "seen in 1 of 1 seed (ρ -0.60)"),
        ([2.0, 1.0, 5.0, 4.0, 3.0], "seen in 1 of 1 seed (ρ -0.50)"),
        ([3.0, 1.0, 4.0, 5.0, 2.0], "not seen: in 0 of 1 seed (ρ -0.20)"),
        ([3.0, 3.0, 3.0, 3.0, 3.0], "not seen: in 0 of 1 seed (ρ +0.00)"),
        ([1.0, 2.0, 3.0, 4.0], "not judged: fewer than 5 validations"),
    ],
)
def test_falling_loss_and_rising_miou(mious: list[float], verdict: str) -> None:
    falling = [100.0 - i for i in range(10)]
    found = run(NETWORK, "level_set", 0, mious, curve=curve(falling, falling))
    assert verdicts(page(found))[1] == verdict


def test_tally() -> None:
    assert tally([]) == "not run"
    assert tally([], "no curve") == "no curve"
    assert tally([False, True, True]) == "seen in 2 of 3 seeds"
    assert tally([False, False]) == "not seen: in 0 of 2 seeds"


def test_missing_and_failed() -> None:
    failed = CellRun(NETWORK, "baseline", 0, "aa", None, "failed", "no memory")
    text = page(failed)
    assert values(text, "E_LS") == ["not run", "not run", "–"]
    assert values(text, "mIoU (%)") == ["not run (1 failed)", "not run", "–"]
    assert verdicts(text) == ["not run"] * 3
    assert "failed: no memory" in text
    assert verdicts(page(training("level_set", 0, (0.3, 300.0, 50.0))))[::2] == ["not run"] * 2


def test_older_records_have_no_curve() -> None:
    mious = [40.0, 45.0, 46.0, 47.0, 50.0]
    old = [run(NETWORK, column, 0, mious) for column in ("baseline", "level_set")]
    text = page(*old)
    assert values(text, "cross-entropy") == ["no curve", "no curve", "–"]
    assert values(text, "mIoU (%)") == ["50.00 (1 seed)", "50.00 (1 seed)", "+0.00 (1 seed)"]
    assert verdicts(text) == ["no pair of curves", "no curve", "no pair of curves"]
    mixed = page(*old, training("level_set", 1, (0.3, 300.0, 50.0)))
    assert values(mixed, "E_LS")[1] == "300.0 (1 seed) (1 without curve)"
    assert verdicts(mixed)[1] == "seen in 1 of 1 seed (ρ -1.00)"


def test_stale_is_marked() -> None:
    ends = (0.3, 300.0, 50.0)
    text = page(training("baseline", 0, ends), training("level_set", 0, ends, code="old"))
    assert values(text, "E_LS") == [
        "300.0 (1 seed)",
        "300.0 (1 seed) (stale)",
        "+0.0 (1 seed) (stale)",
    ]
    assert all(verdict.endswith("(stale)") for verdict in verdicts(text))


def functions(**finals: list[float]) -> list[CellRun]:
    """Runs whose mIoU is half of the final one at step 20, and that at step 40."""
    return [
        run(row, column, seed, [miou / 2, miou])
        for row, mious in finals.items()
        for column in ("level_set", "baseline")
        for seed, miou in enumerate(mious if column == "level_set" else [30.0] * len(mious))
    ]


@pytest.mark.parametrize(
    ("mean", "half", "better", "comparable"),
    [
        (0.5, 0.4, "seen", "seen"),
        (0.5, 0.5, "not seen", "seen"),
        (0.5, 0.51, "not seen", "not seen"),
        (2.0, 1.0, "seen", "not seen"),
        (2.0, 0.9, "seen", "opposite"),
        (-0.5, 0.4, "opposite", "seen"),
        (-2.0, 0.9, "opposite", "opposite"),
        (-2.0, 1.0, "opposite", "not seen"),
        (0.5, None, "not seen", "not seen"),
    ],
)
def test_judge(mean: float, half: float | None, better: str, comparable: str) -> None:
    difference = Estimate(mean, half, 3)
    assert judge(difference, "better") == better
    assert judge(difference, "comparable") == comparable
    assert judge(None, "better") == judge(None, "comparable") == "not run"


def test_heaviside_page() -> None:
    runs = functions(
        mahf=[35.0, 36.0, 37.0], ahf_slope_20=[34.9, 35.7, 36.8], hf=[30.0, 31.0, 32.1]
    )
    text = render_heaviside(HEAVISIDE, "demo", "About.", runs)
    cells = {row[0]: row[1:] for row in reversed(rows_of(text))}
    lines = {row[0]: row[1:] for row in rows_of(text.partition("## Over training")[2])}
    assert cells["HF is inferior to MAHF"] == ["+4.97 ± 0.14", "seen"]
    assert cells["MAHF is slightly better than AHF of slope 20"] == ["+0.20 ± 0.25", "not seen"]
    assert cells["MAHF and AHF of slope 20 are comparable"] == ["+0.20 ± 0.25", "seen"]
    assert cells["HF is inferior to AHF, ε 20"] == ["not run", "not run"]
    assert cells["MAHF, ε 1/20 (the paper's)"] == ["30.00 ± 0.00", "36.00 ± 2.48"]
    assert lines["Function, iteration"] == ["20", "40", "Seeds"]
    assert lines["Baseline"] == ["15.00", "30.00", "3"]
    assert lines["HF, gradient 0 (the paper's)"] == ["15.52", "31.03", "3"]
    assert lines["AHF, ε 20 (the paper's, literally)"] == ["–", "–", "not run"]
    assert text.index("(heaviside.svg)") < text.index("(heaviside_training.svg)")
    assert text.count("\n## Runs\n") == 1
    assert "paper has\nno numbers" in text


def test_heaviside_marks_stale_and_missing() -> None:
    stale = run("mahf", "level_set", 0, [1.0, 2.0], code="old")
    text = render_heaviside(HEAVISIDE, "demo", "A.", [stale, *functions(hf=[1.0])[:1]])
    assert "| HF is inferior to MAHF | +1.00 (1 seed) (stale) | not seen |" in text
    assert "| MAHF, ε 1/20 (the paper's) (stale) | 1.00 | 2.00 | 1 |" in text
    assert "| Baseline | not run |" in render_heaviside(HEAVISIDE, "demo", "A.", [])


def test_over_training_shows_ten_validations_and_the_last() -> None:
    long = run("mahf", "level_set", 0, [float(i) for i in range(23)])
    text = render_heaviside(HEAVISIDE, "demo", "A.", [long])
    head = next(row for row in rows_of(text) if row[0] == "Function, iteration")
    assert head[1:] == [str(step) for step in range(40, 480, 60)] + ["Seeds"]
    two = [long, run("mahf", "level_set", 1, [10.0])]
    assert over_training(two, "mahf", "level_set")[20.0] == [0.0, 10.0]


def test_smooth_and_mean() -> None:
    line = [(float(i), float(i * i)) for i in range(6)]
    means = [5 / 3, 14 / 4, 30 / 5, 55 / 5, 54 / 4, 50 / 3]
    assert [v for _, v in smooth(line)] == pytest.approx(means)
    assert smooth([]) == mean_line([]) == []
    assert mean_line([[(1.0, 2.0), (2.0, 4.0)], [(2.0, 6.0), (3.0, 1.0)]]) == [(2.0, 5.0)]


def test_curve_data(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    runs = [*pairs(((0.30, 300.0, 50.0), (0.28, 250.0, 53.0)))]
    write_curve_data(CURVES, [*runs, CellRun(NETWORK, "baseline", 1, "", None, "not run")], path)
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * (10 + 10 + 5)
    first = {
        "network": NETWORK,
        "loss": "baseline",
        "seed": "0",
        "quantity": "cross_entropy",
        "step": "10",
        "value": "1.2",
    }
    assert table[0] == first
    last = [row for row in table if row["loss"] == "level_set"][-1]
    assert (last["quantity"], last["step"], last["value"]) == ("miou", "100", "53.0")
    write_curve_data(CURVES, runs[::-1], tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == path.read_bytes()


def test_pictures_are_deterministic(tmp_path: Path) -> None:
    ends = ((0.30, 300.0, 50.0), (0.28, 250.0, 53.0))
    made = functions(mahf=[35.0, 36.0], hf=[30.0, 31.0])
    for name in "ab":
        draw_curves(CURVES, "demo", pairs(ends, ends), tmp_path / f"{name}.svg")
        draw_heaviside(HEAVISIDE, "demo", made, tmp_path / f"{name}_h.svg")
    for kind, words in (("", ("E_LS", "LS loss", "Baseline")), ("_h", ("MAHF, ε 1/20", "HF"))):
        text = (tmp_path / f"a{kind}.svg").read_text()
        assert text == (tmp_path / f"b{kind}.svg").read_text()
        assert all(word in text for word in words)
    assert page(*pairs(ends)) == page(*pairs(ends))


def test_pictures_of_nothing_and_of_older_records(tmp_path: Path) -> None:
    draw_curves(CURVES, "demo", [], tmp_path / "a.svg")
    draw_heaviside(HEAVISIDE, "demo", [], tmp_path / "b.svg")
    draw_curves(CURVES, "demo", [run(NETWORK, "baseline", 0, [40.0])], tmp_path / "c.svg")
    assert [(tmp_path / f"{n}.svg").read_text().count("no values") for n in "abc"] == [6, 2, 5]
