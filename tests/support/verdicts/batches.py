"""Models whose answer to an image hangs on chance, or on what else is in its batch."""

import numpy as np
from onnx import GraphProto, TensorProto, helper

from support.shipped import LENET
from support.verdicts.case import (
    FAILED,
    HIDDEN,
    LOGITS,
    PASSED,
    REFUSED,
    UNSUPPORTED,
    Case,
    Workshop,
    append,
    before_head,
    mask,
    rename_logits,
    set_tensor,
    verify,
)


def centre_batch(graph: GraphProto) -> None:
    """Features less their mean over the batch."""
    with before_head(graph, "centred"):
        append(
            graph,
            helper.make_node("ReduceMean", [HIDDEN], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", [HIDDEN, "mean"], ["centred"]),
        )


def normalize_batch(graph: GraphProto) -> None:
    """A batch normalization in training mode."""
    with before_head(graph, "normalized"):
        for name, value in (("scale", 1), ("shift", 0), ("running_mean", 0), ("running_var", 1)):
            set_tensor(graph, name, np.full(84, value, np.float32))
        inputs = [HIDDEN, "scale", "shift", "running_mean", "running_var"]
        outputs = ["normalized", "new_mean", "new_var"]
        append(graph, helper.make_node("BatchNormalization", inputs, outputs, training_mode=1))


def compare_images(graph: GraphProto) -> None:
    """A softmax over the images, not the classes."""
    rename_logits(graph)
    append(graph, helper.make_node("Softmax", ["scores"], [LOGITS], axis=0))


def add_noise(graph: GraphProto) -> None:
    with before_head(graph, "noisy"):
        append(
            graph,
            helper.make_node("RandomNormalLike", [HIDDEN], ["noise"], scale=2.0),
            helper.make_node("Add", [HIDDEN, "noise"], ["noisy"]),
        )


def drop_features(graph: GraphProto) -> None:
    """Dropout in training mode."""
    with before_head(graph, "dropped"):
        set_tensor(graph, "ratio", np.array(0.5, np.float32))
        set_tensor(graph, "trains", np.array(1, bool))
        append(graph, helper.make_node("Dropout", [HIDDEN, "ratio", "trains"], ["dropped"]))


def toss_coins(graph: GraphProto) -> None:
    """Features that are there or not, by chance."""
    with before_head(graph, "kept"):
        append(
            graph,
            helper.make_node("Sigmoid", [HIDDEN], ["chance"]),
            helper.make_node("Bernoulli", ["chance"], ["coins"]),
            helper.make_node("Mul", [HIDDEN, "coins"], ["kept"]),
        )


def fix_batch(graph: GraphProto) -> None:
    centre_batch(graph)
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    del graph.value_info[:]


def fix_batch_alone(graph: GraphProto) -> None:
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    del graph.value_info[:]


def cast_features(graph: GraphProto) -> None:
    """Arithmetic of 16 bits, which another batch size may round otherwise: no dependence."""
    with before_head(graph, "whole"):
        append(
            graph,
            helper.make_node("Cast", [HIDDEN], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("Cast", ["half"], ["whole"], to=TensorProto.FLOAT),
        )


def _train(shop: Workshop) -> list[object]:
    model = shop.edit(normalize_batch)
    flags = ("--samples", LENET.parents[2] / "calibration_samples" / "fashion_mnist")
    return ["unlearn", model, "--forget", 3, *flags, "--out", shop.folder / "out.onnx"]


CASES = (
    *(
        Case(
            name=f"statistics of the batch, at most {size} at once",
            make=lambda shop, size=size: verify(  # type: ignore[misc]
                shop.edit(normalize_batch, shop.forgot), shop.write_samples(20),
                "--batch-size", size,
            ),
            code=FAILED, says="each was measured by itself", was="PASSED with 1, FAILED with 256",
        )
        for size in (1, 256)
    ),
    Case(
        name="features less the batch's mean",
        make=lambda shop: verify(shop.edit(centre_batch, shop.forgot), shop.write_samples(20)),
        code=FAILED, says="each was measured by itself",
    ),
    Case(
        name="to train with statistics of the batch", make=_train, code=UNSUPPORTED,
        says="cannot be trained: images that are computed at once",
    ),
    Case(
        name="to mask a model with statistics of the batch",
        make=lambda shop: mask(
            shop, shop.edit(normalize_batch), "--data", shop.write_samples(20)
        ),
        code=REFUSED, says="does not know", was="PASSED",
    ),
    Case(
        name="a softmax over the images",
        make=lambda shop: verify(shop.edit(compare_images, shop.forgot), shop.write_samples(20)),
        code=UNSUPPORTED, says="along another axis than the classes'", was="taken for a head",
    ),
    Case(
        name="noise in the features",
        make=lambda shop: verify(shop.edit(add_noise, shop.forgot), shop.write_samples(20)),
        code=UNSUPPORTED, says="something in it is random", was="judged by chance",
    ),
    Case(
        name="noise in the features, to mask",
        make=lambda shop: mask(shop, shop.edit(add_noise), "--data", shop.write_samples(20)),
        code=UNSUPPORTED,
    ),
    Case(
        name="dropout in training mode, which ONNX Runtime leaves out",
        make=lambda shop: verify(shop.edit(drop_features, shop.forgot), shop.write_samples()),
        code=PASSED,
    ),
    Case(
        name="features by chance",
        make=lambda shop: verify(shop.edit(toss_coins, shop.forgot), shop.write_samples(20)),
        code=UNSUPPORTED, was="judged by chance",
    ),
    Case(
        name="a fixed batch whose images change each other",
        make=lambda shop: verify(shop.edit(fix_batch, shop.forgot), shop.write_samples(20)),
        code=UNSUPPORTED, says="takes 4 images at once",
    ),
    Case(
        name="a fixed batch of images apart",
        make=lambda shop: verify(shop.edit(fix_batch_alone, shop.forgot), shop.write_samples()),
        code=PASSED,
    ),
    Case(
        name="features of 16 bits",
        make=lambda shop: verify(shop.edit(cast_features, shop.forgot), shop.write_samples()),
        code=PASSED,
    ),
)  # fmt: skip
