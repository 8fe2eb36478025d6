"""The notebook with its outputs, and as a page of the site."""

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path("docs") / "notebooks" / "forget_a_class.ipynb"
PAGE = NOTEBOOK.with_suffix(".md")
_PICTURES = Path("docs") / "pictures"
_HEAD = """<!-- made by: python -m tools notebook -->
*This is [a notebook](forget_a_class.ipynb). Open it with `pip install jupyterlab`, then
`jupyter lab docs/notebooks/forget_a_class.ipynb` in a clone.*
"""


@click.command("notebook")
def notebook() -> None:
    """Run the notebook, store its outputs, and write it as a page of the site."""
    given = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    document = run(given)
    nbformat.write(document, NOTEBOOK)  # type: ignore[no-untyped-call]
    PAGE.write_text(f"{_HEAD}\n{render(document, write=True)}", "utf-8")


def run(document: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run a notebook in this interpreter, and remove times, versions and paths."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    folder = {"metadata": {"path": str(NOTEBOOK.parent.resolve())}}
    client = NotebookClient(document, timeout=600, kernel_name="python3", resources=folder)
    done = client.execute()
    for cell in done.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                output.data.pop("text/plain", None)  # holds paths of this machine
    done.metadata.pop("language_info", None)
    return done


def render(document: nbformat.NotebookNode, *, write: bool = False) -> str:
    """Render a notebook as Markdown; `write` writes its pictures, too."""
    return "\n\n".join(part for cell in _number(document) for part in _render(*cell, write=write))


def _number(document: nbformat.NotebookNode) -> Iterator[tuple[int, Any]]:
    return enumerate(document.cells)


def _render(number: int, cell: Any, *, write: bool) -> Iterator[str]:  # noqa: ANN401 - a cell
    if cell.cell_type == "markdown":
        yield cell.source.strip()
        return
    yield f"```python\n{cell.source.strip()}\n```"
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            path = _PICTURES / f"notebook-{number}.png"
            if write:
                path.write_bytes(base64.b64decode(data["image/png"]))
            yield f"![What the cell above shows](../pictures/{path.name})"
        elif "text/html" in data:
            yield data["text/html"]
        else:
            yield f"```text\n{(output.get('text') or data.get('text/plain', '')).strip()}\n```"
