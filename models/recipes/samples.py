"""Makes `calibration_samples/fashion_mnist` from the IDX files of Fashion-MNIST."""

import hashlib
import io
import json
import sys
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipes import fashion_mnist
from recipes.idx import read_split

FOLDER = Path(__file__).resolve().parents[2] / "calibration_samples" / "fashion_mnist"
TRAINING_IMAGES_PER_CLASS = 16
TEST_IMAGES_PER_CLASS = 200


def find_first(labels: npt.NDArray[np.uint8], count: int) -> list[int]:
    """Positions of the first `count` samples of each class, in file order."""
    return sorted(
        int(index)
        for label in range(len(fashion_mnist.LABELS))
        for index in np.flatnonzero(labels == label)[:count]
    )


def make_folder_name(label: str) -> str:
    """A label as a folder name."""
    return label.replace("/", "_").replace(" ", "_")


@click.command()
@click.option("--data-root", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER)
def main(data_root: Path, out: Path) -> None:
    """Write the samples, the evaluation file and their manifest."""
    training = read_split(data_root, "train")
    test = read_split(data_root, "t10k")
    files: dict[str, bytes] = {}
    for index in find_first(training.labels, TRAINING_IMAGES_PER_CLASS):
        folder = make_folder_name(fashion_mnist.LABELS[training.labels[index]])
        stream = io.BytesIO()
        Image.fromarray(training.images[index]).save(stream, "PNG", optimize=True)
        files[f"{folder}/train_{index:05d}.png"] = stream.getvalue()
    chosen = find_first(test.labels, TEST_IMAGES_PER_CLASS)
    stream = io.BytesIO()
    np.savez_compressed(stream, x=test.images[chosen], y=test.labels[chosen].astype(np.int64))
    files["evaluation.npz"] = stream.getvalue()
    manifest = {
        "source": fashion_mnist.SOURCE,
        "licence": fashion_mnist.LICENCE,
        "made_by": "python models/recipes/samples.py --data-root DIR",
        "samples": f"the first {TRAINING_IMAGES_PER_CLASS} training images of each class; "
        "the file name holds the position in the training file",
        "evaluation": f"the first {TEST_IMAGES_PER_CLASS} test images of each class, in file order",
        "labels": {make_folder_name(label): label for label in fashion_mnist.LABELS},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    files["manifest.json"] = (json.dumps(manifest, indent=2) + "\n").encode()
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{out}: {len(files)} files")


if __name__ == "__main__":
    main()
