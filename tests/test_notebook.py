"""docs/level_set_loss.ipynb runs from top to bottom, and is committed as it ran.

With ``REPRODUCE_SCREENSHOTS=1`` its outputs are renewed, from the full training; otherwise a
shorter one is enough.
"""

import copy
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from reproduce.experiments import REPOSITORY

PATH = REPOSITORY / "docs" / "level_set_loss.ipynb"
RENEW = os.environ.get("REPRODUCE_SCREENSHOTS") == "1"
STEPS = "STEPS = 400"
LIMIT = 400_000


def read() -> Any:
    return nbformat.read(PATH, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook: Any) -> str:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def pictures(notebook: Any) -> int:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def scores(notebook: Any) -> list[float]:
    return [float(n) for n in re.findall(r"mIoU (\d+\.\d) %", printed(notebook))]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    notebook = copy.deepcopy(read())
    for cell in code_cells(notebook):
        cell.update(outputs=[], execution_count=None, metadata={})
        if not RENEW:
            cell.source = cell.source.replace(STEPS, "STEPS = 40")
    folder = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(
        notebook, timeout=600, record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    for cell in code_cells(notebook):
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    if RENEW:
        notebook.metadata.language_info = {"name": "python"}
        nbformat.write(notebook, PATH)
    return notebook


def test_it_runs_and_draws(executed: Any) -> None:
    assert pictures(executed) == 3
    assert len(scores(executed)) == 2
    assert all(10 < score < 90 for score in scores(executed))
    assert re.findall(r"(right|inverted): +(\S+)", printed(executed)) == [
        ("right", "0.0"),
        ("inverted", "0.0"),
    ]


@pytest.mark.usefixtures("executed")
def test_it_is_committed_as_it_ran() -> None:
    notebook = read()
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
    assert pictures(notebook) == 3
    assert len(scores(notebook)) == 2
    assert sum(STEPS in cell.source for cell in cells) == 1
    assert PATH.stat().st_size < LIMIT
    assert "/home/" not in PATH.read_text()
    assert "site-packages" not in PATH.read_text()


def test_its_links_resolve() -> None:
    text = "\n".join(cell.source for cell in read().cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert len(links) >= 3
    for link in links:
        assert Path(PATH.parent, link).exists(), link
