"""`unlearn`, run as a user would."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from nhle_onnx.cli.main import run
from studies.tables import Row


def run_unlearn(model: Path, *options: str, out: Path) -> tuple[Row, dict[str, Any]]:
    """Return the figures of a row and the report behind them, whatever the verdict."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = run(["unlearn", str(model), *options, "--out", str(out), "--quiet"])
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    figures = {
        "exit": code,
        "Acc_F before": report["before"]["acc_f"],
        "Acc_F": report["after"]["acc_f"],
        "unmasked": report["unmasked"]["acc_f"],
        "Acc_R before": report["before"]["acc_r"],
        "Acc_R": report["after"]["acc_r"],
    }
    return figures, report
