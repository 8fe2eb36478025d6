"""Networks of JAX, written with Flax's NNX, by jax2onnx."""

from functools import partial
from pathlib import Path

import jax
import optax
from flax import nnx
from jax import numpy as jnp
from jax2onnx import to_onnx
from shared import CLASSES, Data, Writers, make_files, read_data

STEPS, BATCH = 300, 64


def _make_mlp(rngs: nnx.Rngs) -> nnx.Module:
    return nnx.Sequential(
        _flatten, nnx.Linear(1024, 64, rngs=rngs), nnx.relu, nnx.Linear(64, CLASSES, rngs=rngs)
    )


def _make_cnn(rngs: nnx.Rngs) -> nnx.Module:
    return nnx.Sequential(
        nnx.Conv(1, 12, (3, 3), strides=2, rngs=rngs),
        nnx.relu,
        nnx.Conv(12, 24, (3, 3), strides=2, rngs=rngs),
        nnx.gelu,
        _flatten,
        nnx.Linear(24 * 64, 48, rngs=rngs),
        nnx.relu,
        nnx.Linear(48, CLASSES, rngs=rngs),
    )


def _make_pooled(rngs: nnx.Rngs) -> nnx.Module:
    return nnx.Sequential(
        nnx.Conv(1, 16, (3, 3), strides=2, rngs=rngs),
        nnx.LayerNorm(16, rngs=rngs),
        nnx.silu,
        nnx.Conv(16, 32, (3, 3), strides=2, rngs=rngs),
        nnx.silu,
        _average,
        nnx.Linear(32, CLASSES, rngs=rngs),
    )


NETWORKS = {"mlp": _make_mlp, "cnn": _make_cnn, "pooled": _make_pooled}


def _flatten(features: jax.Array) -> jax.Array:
    return features.reshape(features.shape[0], -1)


def _average(features: jax.Array) -> jax.Array:
    return features.mean((1, 2))


def list_writers(name: str, given: Path) -> Writers:
    """Train, and export."""
    network = _train(name, read_data(given))
    shape = [("batch", 32, 32, 1)]
    return {
        "float32": lambda path: to_onnx(
            network, shape, return_mode="file", output_path=str(path)
        ),
        "softmax": lambda path: to_onnx(
            lambda images: jax.nn.softmax(network(images)), shape, return_mode="file",
            output_path=str(path),
        ),
    }  # fmt: skip


def _train(name: str, data: Data) -> nnx.Module:
    network = NETWORKS[name](nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(2e-3), wrt=nnx.Param)
    take_step = nnx.jit(_take_step)
    images, labels = data.images[..., None], data.labels
    for step in range(STEPS):
        chosen = slice(step * BATCH, (step + 1) * BATCH)
        take_step(network, optimizer, jnp.asarray(images[chosen]), jnp.asarray(labels[chosen]))
    return network


def _take_step(
    network: nnx.Module, optimizer: nnx.Optimizer, images: jax.Array, labels: jax.Array
) -> None:
    gradient = nnx.grad(partial(_measure, images=images, labels=labels))(network)
    optimizer.update(network, gradient)


def _measure(network: nnx.Module, images: jax.Array, labels: jax.Array) -> jax.Array:
    scores = network(images)
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()


if __name__ == "__main__":
    make_files(list_writers)
