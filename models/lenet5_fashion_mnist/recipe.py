"""Makes this folder's model: `python recipe.py --data-root DIR`, DIR holding the IDX files."""

import sys
from pathlib import Path

import click
import torch

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parents[1] / "toolkit")]

from architectures import LeNet5  # noqa: E402 - the recipe runs from a bare clone
from recipes.publish import Recipe, publish, publish_retrained  # noqa: E402
from recipes.training import TrainingOptions  # noqa: E402

RECIPE = Recipe(
    name=FOLDER.name,
    title="LeNet-5",
    channels=1,
    extent=28,
    training=TrainingOptions(epochs=25, lr=3e-3, max_shift=1),
    use_dynamo=False,
)


@click.command()
@click.option("--data-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER, show_default="this folder")
@click.option("--without", type=click.IntRange(0, 9), help="Leave out a class, for an audit.")
def main(data_root: Path, out: Path, without: int | None) -> None:
    """Train, export, measure, and write the model, its labels, preprocessing and card; or only a
    model that never saw a class.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(RECIPE.training.seed)
    if without is None:
        publish(LeNet5(), RECIPE, data_root, out)
    else:
        publish_retrained(LeNet5(), RECIPE, data_root, out, without)


if __name__ == "__main__":
    main()
