"""The notebook runs."""

import os
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from support import ROOT

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
    assert "FAILED" not in text
    assert "unmasked.acc_f" in text
    assert "edited: Acc_F 0.000, with the original's head 0.0" in text
    assert "masked: Acc_F 0.000, with the original's head 0.8" in text
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(FOLDER / "forget_a_class.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
