"""Makes this folder's model: `python recipe.py --data-root DIR`, DIR holding the IDX files."""

import sys
from pathlib import Path

import click
import torch

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
sys.path[:0] = [str(FOLDER.parent), str(ROOT / "toolkit")]

from architectures.yolo import YoloTiny  # noqa: E402 - the recipe runs from a bare clone
from recipes.detection.composites import compose  # noqa: E402
from recipes.detection.publish import export, measure, write_card, write_sidecars  # noqa: E402
from recipes.detection.training import TrainingOptions, make_yolo_loss, train  # noqa: E402
from recipes.idx import read_split  # noqa: E402

OPTIONS = TrainingOptions()
EVALUATION = ROOT / "calibration_samples" / "fashion_scenes" / "evaluation"


@click.command()
@click.option("--data-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER, show_default="this folder")
@click.option("--weights", type=click.Path(path_type=Path), help="Kept here, and read if there.")
def main(data_root: Path, out: Path, weights: Path | None) -> None:
    """Train, export, measure, and write the model, its labels, preprocessing and card."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(OPTIONS.seed)
    network = YoloTiny()
    if weights and weights.exists():
        network.load_state_dict(torch.load(weights))
    else:
        scenes = compose(read_split(data_root, "train"), OPTIONS.scenes, OPTIONS.seed)
        train(network, make_yolo_loss(network), scenes, OPTIONS)
        if weights:
            torch.save(network.state_dict(), weights)
    export(network, out / "model.onnx", ("output0",), use_dynamo=False)
    write_sidecars(out)
    found = measure(out / "model.onnx", EVALUATION)
    print(f"{out}: mAP {write_card(out, 'A small YOLO', OPTIONS, found)}")


if __name__ == "__main__":
    main()
