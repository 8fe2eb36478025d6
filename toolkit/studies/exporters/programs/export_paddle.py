"""Networks of PaddlePaddle, by its own exporter."""

from functools import partial
from pathlib import Path

import paddle
from paddle import nn
from paddle.static import InputSpec
from shared import CLASSES, Data, Writers, make_files, read_data

STEPS, BATCH = 300, 64


def _make_mlp() -> nn.Layer:
    return nn.Sequential(nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def _make_cnn() -> nn.Layer:
    return nn.Sequential(
        nn.Conv2D(1, 12, 3, stride=2, padding=1),
        nn.BatchNorm2D(12),
        nn.ReLU(),
        nn.Conv2D(12, 24, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 64, 48),
        nn.ReLU(),
        nn.Linear(48, CLASSES),
    )


def _make_mobile() -> nn.Layer:
    return nn.Sequential(
        nn.Conv2D(1, 16, 3, stride=2, padding=1),
        nn.Hardswish(),
        nn.Conv2D(16, 16, 3, stride=2, padding=1, groups=16),
        nn.BatchNorm2D(16),
        nn.Hardswish(),
        nn.Conv2D(16, 48, 1),
        nn.BatchNorm2D(48),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(48, CLASSES),
    )


NETWORKS = {"mlp": _make_mlp, "cnn": _make_cnn, "mobile": _make_mobile}


def list_writers(name: str, given: Path) -> Writers:
    """Train, and write the scores, and the probabilities."""
    network = _train(name, read_data(given))
    probabilities = nn.Sequential(network, nn.Softmax())
    probabilities.eval()
    return {"float32": partial(_export, network), "softmax": partial(_export, probabilities)}


def _train(name: str, data: Data) -> nn.Layer:
    paddle.seed(0)
    network = NETWORKS[name]()
    optimizer = paddle.optimizer.Adam(2e-3, parameters=network.parameters())
    images, labels = paddle.to_tensor(data.images[:, None]), paddle.to_tensor(data.labels)
    for _ in range(STEPS):
        chosen = paddle.randint(0, len(data.labels), [BATCH])
        loss = nn.functional.cross_entropy(network(images[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    network.eval()
    return network


def _export(network: nn.Layer, path: Path) -> None:
    spec = InputSpec([None, 1, 32, 32], "float32", "image")
    paddle.onnx.export(network, str(path.with_suffix("")), [spec], opset_version=13)


if __name__ == "__main__":
    make_files(list_writers)
