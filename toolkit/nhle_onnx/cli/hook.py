"""A pre-commit hook: edited models are those in the reports beside them, and passed their gates."""

from collections.abc import Iterator
from pathlib import Path

import click

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.text import to_line

_REPORT = ".report.json"


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--allow-unjudged", is_flag=True, help="Accept models that were not judged.")
def main(paths: tuple[Path, ...], *, allow_unjudged: bool) -> None:
    """Check models and reports by name; each finds the other beside it.

    A model without a report passes: it was not edited by `unlearn`.
    """
    accepted = {"passed", "not-judged"} if allow_unjudged else {"passed"}
    problems = [
        problem
        for model in dict.fromkeys(map(_find_model, paths))
        for problem in _check(model, accepted)
    ]
    for problem in problems:
        click.echo(to_line(problem))
    raise SystemExit(bool(problems))


def _find_model(path: Path) -> Path:
    name = path.name
    return path.with_name(f"{name.removesuffix(_REPORT)}.onnx") if name.endswith(_REPORT) else path


def _check(model: Path, accepted: set[str]) -> Iterator[str]:
    from nhle_onnx.release.dossier.binding import Statement, bind_file
    from nhle_onnx.release.dossier.reading import UNLEARN, read_report

    path = model.with_suffix(_REPORT)
    if not (path.exists() and model.exists()):
        return
    try:
        report = read_report(path, UNLEARN).report
        edited = report.edited
        stated = Statement(source=str(path), sha256=edited.sha256, sidecars=edited.sidecars)
        bind_file("model", model, (stated,))
    except NhleOnnxError as error:
        yield f"{error.reason}. {error.remedy}"
    else:
        if report.verdict not in accepted:
            yield f"{model}: its report says {report.verdict}"
