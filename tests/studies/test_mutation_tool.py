"""The measurement of mutants: what was not tested does not count."""

import click
import pytest

from tools import mutation


def test_mutants_that_were_not_tested_give_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = {"nhle_onnx.graph.a": "killed", "nhle_onnx.graph.b": "not checked"}
    monkeypatch.setattr(mutation, "_list_statuses", lambda _: statuses)
    with pytest.raises(click.ClickException, match="graph: 2 of 3 mutants were not tested"):
        mutation._summarize("graph", [*statuses, "nhle_onnx.graph.lost"], 3)


def test_without_mutmut_the_page_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation, "find_spec", lambda _: None)
    monkeypatch.setattr(mutation, "write_results", lambda *_: pytest.fail("wrote a page"))
    with pytest.raises(click.UsageError, match="mutmut is not installed"):
        mutation.mutation.main(["--package", "graph"], standalone_mode=False)
