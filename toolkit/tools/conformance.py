"""Whether each operator computes the right result, by the `onnx` package's backend node tests."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.progress import track

from nhle_onnx.lowering.operators import OPERATORS
from studies.results import write_results
from studies.tables import make_table
from support.node_cases import Outcome, judge_case, list_cases
from tools.whole_models import whole_models


@click.command()
@click.option("--operators-only", is_flag=True, help="Leave out whole networks.")
@click.option(
    "--others", type=click.Path(path_type=Path), help="A folder with the other converters."
)
@click.pass_context
def conformance(context: click.Context, operators_only: bool, others: Path | None) -> None:  # noqa: FBT001
    """Run the onnx package's node tests of every operator, then lower whole networks."""
    outcomes = [judge_case(case) for case in track(list_cases(), description="nodes")]
    rows = count_by_operator(outcomes)
    body = describe_operators(rows, outcomes)
    write_results("conformance", "What the lowered operators compute", body, rows)
    click.echo(body)
    if not operators_only:
        context.invoke(whole_models, networks=(), others=others, workers=2)


def count_by_operator(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Make a row for each operator of the table: how many of its applicable cases passed."""
    counts = Counter((outcome.op_type, outcome.status) for outcome in outcomes)
    rows = []
    for op_type in sorted({row.op_type for row in OPERATORS}):
        passed, refused, failed = (
            counts[op_type, status] for status in ("passed", "refused", "failed")
        )
        rows.append(
            {
                "operator": op_type,
                "passed": passed,
                "applicable": passed + refused + failed,
                "inapplicable": counts[op_type, "inapplicable"],
            }
        )
    return rows


def summarize(rows: Sequence[dict[str, Any]], outcomes: Sequence[Outcome]) -> str:
    """Summarise the totals, with a sentence for each kind of outcome."""
    counts = Counter(outcome.status for outcome in outcomes)
    applicable = len(outcomes) - counts["inapplicable"]
    return (
        f"{len(rows)} operators. {counts['passed']} of {applicable} applicable cases pass, "
        f"{counts['refused']} are refused, {counts['failed']} fail. "
        f"{counts['inapplicable']} more are inapplicable."
    )


def describe_operators(rows: Sequence[dict[str, Any]], outcomes: Sequence[Outcome]) -> str:
    """Return the page's section on operators."""
    return (
        "Each case of the `onnx` package's backend tests that consists of one node of a supported "
        "operator: its first input is fed, the others are constants of the model, and every output "
        "must have the expected type, and its values within 0.001 (half precision: 0.002).\n\n"
        f"**{summarize(rows, outcomes)}**\n\n{make_table(rows)}\n\n"
        f"## What does not pass\n\n{list_reasons(outcomes)}"
    )


def list_reasons(outcomes: Sequence[Outcome]) -> str:
    """List the names of the cases that did not pass, by reason."""
    names = defaultdict(list)
    for outcome in outcomes:
        if outcome.status != "passed":
            names[outcome.status, outcome.reason].append(outcome.name)
    return "\n".join(
        f"- {status}: {reason}: {', '.join(f'`{name}`' for name in cases)}"
        for (status, reason), cases in sorted(names.items())
    )
