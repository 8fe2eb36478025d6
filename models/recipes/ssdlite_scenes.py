"""Makes the SSDLite of the study of detectors, which is not shipped."""

import sys
from pathlib import Path

import click
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from architectures.ssdlite import SSDLite
from recipes.detection.composites import compose
from recipes.detection.publish import export, write_sidecars
from recipes.detection.training import TrainingOptions, make_ssd_loss, train
from recipes.idx import read_split

OPTIONS = TrainingOptions(scenes=5000, epochs=12)


def make_model(data_root: Path, out: Path) -> None:
    """Train, export by torch's newer exporter, and write labels and preprocessing beside it."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(OPTIONS.seed)
    network = SSDLite()
    scenes = compose(read_split(data_root, "train"), OPTIONS.scenes, OPTIONS.seed)
    train(network, make_ssd_loss(network), scenes, OPTIONS)
    export(network, out / "model.onnx", ("boxes", "scores"), use_dynamo=True)
    write_sidecars(out)


@click.command()
@click.option("--data-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(data_root: Path, out: Path) -> None:
    """Train and write the model."""
    make_model(data_root, out)


if __name__ == "__main__":
    main()
