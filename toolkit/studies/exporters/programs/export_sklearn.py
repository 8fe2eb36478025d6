"""scikit-learn's classifiers on pixels as features, by skl2onnx."""

import warnings
from functools import partial
from pathlib import Path

import onnx
from shared import Writers, make_files, read_data
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TRAINED = 6_000  # images
_LAYERS = {"mlp": (64,), "mlp-deep": (64, 32)}


def _make(name: str) -> ClassifierMixin:
    if name == "logistic":
        return LogisticRegression(max_iter=40)
    if name == "pipeline":
        return make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=8, random_state=0))
    return MLPClassifier(_LAYERS[name], max_iter=8, random_state=0)


def list_writers(name: str, given: Path) -> Writers:
    """Train, and write probabilities as a tensor, and as a map (the default)."""
    data = read_data(given)
    features = data.images[:TRAINED].reshape(TRAINED, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few steps are enough here
        network = _make(name).fit(features, data.labels[:TRAINED])
    write = partial(_write, network, features.shape[1])
    return {
        "tensor": partial(write, {"zipmap": False}),
        "zipmap": partial(write, {}),
    }


def _write(network: ClassifierMixin, width: int, options: dict[str, bool], path: Path) -> None:
    kind = [("features", FloatTensorType([None, width]))]
    chosen = network[-1] if hasattr(network, "steps") else network
    proto = to_onnx(network, initial_types=kind, options={id(chosen): options})
    onnx.save(proto, path)


if __name__ == "__main__":
    make_files(list_writers)
