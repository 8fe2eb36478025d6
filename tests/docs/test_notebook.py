"""The notebook runs."""

import os
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from support import ROOT
from tools.notebook import render

FOLDER = ROOT / "docs" / "notebooks"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """The notebook with its outputs. The kernel is this interpreter, whatever is registered."""
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)  # noqa: PTH120
    notebook = nbformat.read(FOLDER / "forget_a_class.ipynb", as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    return client.execute()


def test_it_forgets_and_shows_a_picture(ran: nbformat.NotebookNode) -> None:
    outputs = [output for cell in ran.cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in outputs)
    shown = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert "PASSED" in shown
    assert "unmasked.acc_f" in shown
    assert "edited: Acc_F 0.000, with the original's head 0.0" in text
    assert "masked: Acc_F 0.000, with the original's head 0.8" in text
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_it_is_kept_with_outputs_which_its_page_shows() -> None:
    notebook = nbformat.read(FOLDER / "forget_a_class.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert sum(bool(cell.get("outputs")) for cell in notebook.cells) >= 4
    page = (FOLDER / "forget_a_class.md").read_text("utf-8")
    assert page.endswith(render(notebook))
    assert str(ROOT) not in (FOLDER / "forget_a_class.ipynb").read_text("utf-8")
