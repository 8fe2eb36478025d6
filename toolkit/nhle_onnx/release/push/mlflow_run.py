"""MLflow, through its own client: the extra `mlflow`. MLFLOW_TRACKING_URI names the server."""

import os
from typing import Any

from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.values.push import Package
from nhle_onnx.values.task import list_figures, read_change


def push_mlflow(place: str, package: Package) -> str:
    """Log a run in an experiment: the options, the figures, and all files; return its name."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
    try:
        import mlflow  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "mlflow: needs a package that is not installed: mlflow-skinny"
        raise UsageError(message, remedy="Install the extra: pip install '.[mlflow]'.") from error
    try:
        return _log(mlflow.MlflowClient(), place, package)
    except Exception as error:  # the client's errors share no base class
        reason = " ".join(str(error).split()) or type(error).__name__
        text = f"mlflow:{place} was not pushed: {reason}"
        raise InputRefusedError(
            text, remedy="Check MLFLOW_TRACKING_URI, and the name of the experiment."
        ) from error


def _log(client: Any, place: str, package: Package) -> str:  # noqa: ANN401 - of the extra
    found = client.get_experiment_by_name(place)
    experiment = found.experiment_id if found else client.create_experiment(place)
    report = package.report
    tags = {"nhle-onnx.verdict": report.verdict, "nhle-onnx.sha256": report.edited.sha256}
    run = client.create_run(experiment, run_name=package.name, tags=tags).info.run_id
    try:
        for name, value in {**report.method, "forget": report.forget, "seed": report.seed}.items():
            client.log_param(run, name, value)
        for name, value in _list_metrics(package):
            client.log_metric(run, name, value)
        for name, path in package.files.items():
            client.log_artifact(run, str(path), "/".join(name.split("/")[:-1]) or None)
        client.log_text(run, package.card, "README.md")
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run)
    return f"{place}, run {run}"


def _list_metrics(package: Package) -> list[tuple[str, float]]:
    report = package.report
    figures = {
        f"{model}.{figure.term.key}": getattr(figure, model)
        for model in ("before", "after", "unmasked")
        for figure in list_figures(report)
    }
    figures[report.after.task.change] = read_change(report)
    return [(name, value) for name, value in figures.items() if value is not None]
