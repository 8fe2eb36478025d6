"""Makes `calibration_samples/fashion_scenes` from the IDX files of Fashion-MNIST."""

import json
import shutil
import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import fashion_mnist
from recipes.detection.composites import compose
from recipes.detection.dataset import write_scenes
from recipes.idx import read_split

FOLDER = Path(__file__).resolve().parents[2] / "calibration_samples" / "fashion_scenes"
SAMPLES, EVALUATION = 120, 300
SAMPLES_SEED, EVALUATION_SEED = 2, 1


@click.command()
@click.option("--data-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER)
def main(data_root: Path, out: Path) -> None:
    """Write the samples, of training images, and the evaluation set, of test images."""
    for name in ("samples", "evaluation"):
        shutil.rmtree(out / name, ignore_errors=True)
    write_scenes(compose(read_split(data_root, "train"), SAMPLES, SAMPLES_SEED), out / "samples")
    write_scenes(
        compose(read_split(data_root, "t10k"), EVALUATION, EVALUATION_SEED), out / "evaluation"
    )
    manifest = {
        "source": fashion_mnist.SOURCE,
        "licence": fashion_mnist.LICENCE,
        "made_by": "python models/recipes/scenes.py --data-root DIR",
        "samples": f"{SAMPLES} scenes of training images, with boxes as COCO writes them",
        "evaluation": f"{EVALUATION} scenes of test images, likewise",
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    print(f"{out}: {SAMPLES} samples, {EVALUATION} for evaluation")


if __name__ == "__main__":
    main()
