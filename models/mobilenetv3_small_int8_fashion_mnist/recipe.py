"""Makes this folder's model: `python recipe.py --data-root DIR`, DIR holding the IDX files."""

import sys
from pathlib import Path

import click

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
sys.path[:0] = [str(FOLDER.parent), str(ROOT / "toolkit")]

from recipes.quantized import QuantizedRecipe, publish_quantized  # noqa: E402 - from a bare clone

RECIPE = QuantizedRecipe(
    name=FOLDER.name,
    title="MobileNetV3-Small in INT8",
    source="mobilenetv3_small_fashion_mnist",
)


@click.command()
@click.option("--data-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER, show_default="this folder")
def main(data_root: Path, out: Path) -> None:
    """Quantize, measure, and write the model, its labels, preprocessing and card."""
    out.mkdir(parents=True, exist_ok=True)
    publish_quantized(RECIPE, ROOT, data_root, out)


if __name__ == "__main__":
    main()
