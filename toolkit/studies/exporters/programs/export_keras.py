"""Networks of Keras 3, by its own exporter and by tf2onnx, from TensorFlow and from TFLite."""

import os
from functools import partial
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when TensorFlow is imported

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers
from shared import CLASSES, Data, Writers, make_files, read_data

TRAINED = 20_000  # images
CALIBRATED = 100
_SHAPE = (32, 32, 1)
_OPSET = 17


def _make_mlp() -> list[layers.Layer]:
    return [layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(CLASSES)]


def _make_cnn() -> list[layers.Layer]:
    return [
        layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Conv2D(24, 3, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(48, "relu"),
        layers.Dense(CLASSES, "softmax"),
    ]


def _make_mobile() -> list[layers.Layer]:
    blocks = [
        layer
        for width in (24, 48)
        for layer in (
            layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(6),
            layers.Conv2D(width, 1, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(6),
        )
    ]
    stem = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")
    return [stem, *blocks, layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, "softmax")]


NETWORKS = {"mlp": _make_mlp, "cnn": _make_cnn, "mobile": _make_mobile}


def list_writers(name: str, given: Path) -> Writers:
    """Train, and write every format."""
    data = read_data(given)
    network = _train(name, data)
    samples = data.images[:CALIBRATED, ..., None]
    lite = partial(_write_lite, network, samples)
    return {
        "keras": lambda path: network.export(path, format="onnx", verbose=False),
        "tf2onnx": partial(_write_graph, network),
        "tf2onnx-nchw": partial(_write_graph, network, inputs_as_nchw=["image"]),
        "tflite": partial(lite, tf.float32, is_quantized=False),
        "tflite-dynamic": partial(lite, None),
        "tflite-int8": partial(lite, tf.float32),
        "tflite-int8-io": partial(lite, tf.int8),
        "tflite-uint8-io": partial(lite, tf.uint8),
    }


def _train(name: str, data: Data) -> keras.Model:
    keras.utils.set_random_seed(0)
    network = keras.Sequential([layers.Input(_SHAPE, name="image"), *NETWORKS[name]()])
    is_raw = name == "mlp"  # scores without a softmax
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=is_raw)
    network.compile(keras.optimizers.Adam(2e-3), loss)
    network.fit(
        data.images[:TRAINED, ..., None], data.labels[:TRAINED], batch_size=64, epochs=2, verbose=0
    )
    return network


def _trace(network: keras.Model) -> tf.types.experimental.GenericFunction:
    signature = [tf.TensorSpec((None, *_SHAPE), tf.float32, name="image")]
    return tf.function(lambda images: network(images, training=False), input_signature=signature)


def _write_graph(network: keras.Model, path: Path, inputs_as_nchw: list[str] | None = None) -> None:
    function = _trace(network)
    tf2onnx.convert.from_function(
        function, function.input_signature, opset=_OPSET, output_path=str(path),
        inputs_as_nchw=inputs_as_nchw,
    )  # fmt: skip


def _write_lite(
    network: keras.Model,
    samples: np.ndarray,
    kind: tf.DType | None,
    path: Path,
    *,
    is_quantized: bool = True,
) -> None:
    function = _trace(network).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if is_quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if is_quantized and kind is not None:
        converter.representative_dataset = lambda: ([image[None]] for image in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = kind
    lite = path.with_suffix(".tflite")
    lite.write_bytes(converter.convert())
    tf2onnx.convert.from_tflite(str(lite), opset=_OPSET, output_path=str(path))


if __name__ == "__main__":
    make_files(list_writers)
