"""Every class of both shipped models, forgotten with the defaults: 22 rows."""

import tempfile
from pathlib import Path
from typing import Any

import click
from rich.progress import track

from studies.command import run_unlearn
from studies.results import ROOT, write_results
from studies.tables import make_table, write_met

MODELS = ("lenet5_fashion_mnist", "mobilenetv3_small_fashion_mnist")
REQUESTS = (*map(str, range(10)), "0,4")
LIMITS = {"acc_f": 0.01, "delta_acc_r": -0.02, "unmasked": 0.05}


@click.command()
@click.option("--seed", type=int, default=0, show_default=True)
def classes(seed: int) -> None:
    """Forget each class, and 0 with 4, on LeNet-5 and MobileNetV3-Small."""
    with tempfile.TemporaryDirectory() as folder:
        cases = [(model, forget) for model in MODELS for forget in REQUESTS]
        rows = [
            measure_case(model, forget, seed, Path(folder))
            for model, forget in track(cases, description="forgetting")
        ]
    table = make_table(rows)
    met = sum(row["met"] == "yes" for row in rows)
    worst = min(row["ΔAcc_R"] for row in rows)
    mean = sum(row["ΔAcc_R"] for row in rows) / len(rows)
    body = (
        "`unlearn MODEL --forget C` with no other option than the output, on the 2,000 shipped "
        "evaluation images (test images used neither for training nor for unlearning). Of each "
        "class, 16 images serve as forget samples or as anchors. `unmasked` is Acc_F with the "
        f"original head. Limits: exit 0, Acc_F ≤ {LIMITS['acc_f']}, "
        f"ΔAcc_R ≥ {LIMITS['delta_acc_r']}, unmasked ≤ {LIMITS['unmasked']}.\n\n{table}\n\n"
        f"{met} of {len(rows)} rows meet every limit. ΔAcc_R: mean {mean:+.4f}, worst {worst:+.4f}."
        f" Seed {seed}."
    )
    write_results("classes", "Every class of the shipped models", body, rows)
    click.echo(table)
    click.echo(f"{met} of {len(rows)} rows meet every limit")


def measure_case(model: str, forget: str, seed: int, folder: Path) -> dict[str, Any]:
    """Measure one row: run the command as a user would, and read its report."""
    figures, report = run_unlearn(
        ROOT / "models" / model / "model.onnx",
        *("--forget", forget, "--seed", str(seed)),
        out=folder / f"{model}.{forget}.onnx",
    )
    is_met = (
        figures["exit"] == 0
        and figures["Acc_F"] <= LIMITS["acc_f"]
        and report["delta_acc_r"] >= LIMITS["delta_acc_r"]
        and figures["unmasked"] <= LIMITS["unmasked"]
    )
    return {
        "model": model,
        "forget": forget,
        **figures,
        "ΔAcc_R": report["delta_acc_r"],
        "steps": report["method"]["steps_run"],
        "met": write_met(met=is_met),
    }
