"""Options that several commands share, and their conversion to values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from nhle_onnx.values.limits import MAX_ELEMENTS

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)
MODEL = click.argument("model", type=_PATH)
FORGET = click.option(
    "--forget",
    multiple=True,
    required=True,
    metavar="CLASS",
    help="Class to forget: an index or a label. Repeat it, or separate several with commas.",
)
LIMIT = click.option(
    "--max-elements",
    metavar="N",
    type=click.IntRange(1),
    default=MAX_ELEMENTS,
    show_default=True,
    help="Refuse a model of more numbers: in its weights, or in one value that it declares or "
    "computes from them.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")

JOBS = click.option(
    "--jobs",
    "workers",
    type=click.IntRange(1),
    help="Workers of the engine.  [default: one a core]",
)


KERNELS = click.option(
    "--kernels",
    type=click.Choice(["exact", "default"]),
    default="exact",
    show_default=True,
    help="How 8-bit numbers are multiplied: with exact sums, as devices have them, or by this "
    "processor's default kernels, which may saturate.",
)


class Numbers(click.ParamType[tuple[float, ...]]):
    """Comma-separated numbers."""

    name = "numbers"

    def __init__(self, *, counts: tuple[int, ...], kind: type[float] | type[int] = float) -> None:
        self.counts = counts
        self.kind = kind

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse `0.5,0.5,0.5`, or a list from a configuration file."""
        parts = value if isinstance(value, list | tuple) else str(value).split(",")
        try:
            numbers = tuple(self.kind(part) for part in parts)
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers", param, ctx)
        if len(numbers) not in self.counts:
            allowed = " or ".join(map(str, self.counts))
            self.fail(f"{value!r} has {len(numbers)} numbers, not {allowed}", param, ctx)
        return numbers


def engine_option(default: str) -> Callable[[Decorated], Decorated]:
    """Where many like pieces of work are done."""
    return click.option(
        "--engine",
        default=default,
        show_default=True,
        metavar="local|processes|ray|ray://HOST:PORT",
        help="Where the work is done: here, on processes of this machine, or on Ray.",
    )


def read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    """Take defaults from a TOML file whose keys are the flags' names; flags win over it."""
    if path is None:
        return
    import tomllib

    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read as TOML: {error}"
        raise click.BadParameter(message) from error
    names = {
        option.lstrip("-"): item.name for item in context.command.params for option in item.opts
    }
    unknown = [key for key in values if key.replace("_", "-") not in names]
    if unknown:
        message = f"{path} has settings that this command does not know: {', '.join(unknown)}"
        raise click.BadParameter(message)
    context.default_map = {
        str(names[key.replace("_", "-")]): _as_texts(value) for key, value in values.items()
    }


def _as_texts(value: object) -> object:
    """A list for a repeatable flag, whose values are text on the command line."""
    return [str(item) for item in value] if isinstance(value, list) else value


_MODEL_OPTIONS = (
    LIMIT,
    click.option(
        "--output", metavar="NAME", help="The scores, where the model has several outputs."
    ),
    click.option("--labels", type=_PATH, help="Class labels, one a line in class order."),
    click.option("--preprocess", type=_PATH, help="A preprocessor_config.json to use."),
    click.option("--mean", type=Numbers(counts=(1, 3, 4)), help="Subtracted from each channel."),
    click.option("--std", type=Numbers(counts=(1, 3, 4)), help="Divides each channel."),
    click.option("--size", type=Numbers(counts=(2,), kind=int), help="Resize to HEIGHT,WIDTH."),
    click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="Axes of the input."),
    click.option(
        "--range",
        "pixel_range",
        type=Numbers(counts=(2,)),
        help="LOW,HIGH that 8-bit pixels are scaled to before mean and std.",
    ),
    click.option(
        "--config",
        type=_PATH,
        is_eager=True,
        expose_value=False,
        callback=read_config,
        help="TOML file with the same names as the flags; flags win.",
    ),
)
_VERBOSITY_OPTIONS = (
    click.option("-v", "--verbose", is_flag=True, help="More detail."),
    click.option("-q", "--quiet", is_flag=True, help="No progress and no notes."),
)


def model_options(function: Decorated) -> Decorated:
    """How images become the model's input, and where its scores are."""
    return _apply(function, _MODEL_OPTIONS)


def verbosity_options(function: Decorated) -> Decorated:
    """How much is said."""
    return _apply(function, _VERBOSITY_OPTIONS)


def make_model_flags(values: dict[str, Any]) -> Any:
    """Take the model options out of a command's parameters, as a `ModelFlags`."""
    from nhle_onnx.data.preprocess_sources import PreprocessFlags
    from nhle_onnx.workflows.classifier import ModelFlags

    return ModelFlags(
        output=values.pop("output"),
        labels=values.pop("labels"),
        layout=values.pop("layout"),
        max_elements=values.pop("max_elements"),
        preprocess=PreprocessFlags(
            file=values.pop("preprocess"),
            mean=values.pop("mean"),
            std=values.pop("std"),
            size=values.pop("size"),
            pixel_range=values.pop("pixel_range"),
        ),
    )


def _apply(function: Decorated, options: tuple[Callable[..., Any], ...]) -> Decorated:
    for option in reversed(options):
        function = option(function)
    return function
