"""Make keras_cnn.onnx: a small Keras network, trained on Fashion-MNIST, as tf2onnx writes it.

TensorFlow is too large to install for a test, so the file is kept. To make it again:

    pip install tensorflow-cpu==2.21.0 tf2onnx==1.17.0
    python tests/files/make_keras_cnn.py FOLDER-WITH-THE-IDX-FILES
"""

import gzip
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers

OUT = Path(__file__).with_name("keras_cnn.onnx")


def read_idx(path: Path, offset: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def main(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    images = read_idx(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz", 8).astype(np.int64)
    network = keras.Sequential(
        [
            layers.Input((28, 28, 1), name="image"),
            layers.Conv2D(12, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(24, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(48, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit((images / 255).astype(np.float32), labels, batch_size=128, epochs=8, verbose=2)
    signature = [tf.TensorSpec((None, 28, 28, 1), tf.float32, name="image")]
    function = tf.function(lambda x: network(x, training=False), input_signature=signature)
    tf2onnx.convert.from_function(function, signature, opset=15, output_path=str(OUT))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
