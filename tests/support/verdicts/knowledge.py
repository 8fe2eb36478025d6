"""Models that know nothing, that know the class still, and baselines that deceive."""

from pathlib import Path

import numpy as np
from onnx import GraphProto

from support.shipped import LENET, MOBILENET
from support.verdicts.case import (
    BIAS,
    FAILED,
    FORGOTTEN,
    HIDDEN,
    NOT_JUDGED,
    PASSED,
    REFUSED,
    WEIGHT,
    Case,
    Workshop,
    get_tensor,
    mask,
    set_tensor,
    verify,
    verify_alone,
)

WRONG_UNITS = ("--mean", 72.9, "--std", 90)


def answer_always(graph: GraphProto) -> None:
    set_tensor(graph, WEIGHT, np.zeros((10, 84), np.float32))
    set_tensor(graph, BIAS, np.eye(10, dtype=np.float32)[0])


def answer_by_chance(graph: GraphProto) -> None:
    rng = np.random.default_rng(0)
    set_tensor(graph, WEIGHT, rng.normal(size=(10, 84)).astype(np.float32))


def answer_nothing(graph: GraphProto) -> None:
    set_tensor(graph, BIAS, np.full(10, np.nan, np.float32))


def permute_hidden(graph: GraphProto) -> None:
    """The same function: hidden units in another order, and the head's columns with them."""
    order = np.random.default_rng(1).permutation(84)
    for name in ("features.9.weight", "features.9.bias"):
        set_tensor(graph, name, get_tensor(graph, name)[order])
    set_tensor(graph, WEIGHT, get_tensor(graph, WEIGHT)[:, order])


def transpose_head(graph: GraphProto) -> None:
    """The same function: the head's weight stored the other way."""
    set_tensor(graph, WEIGHT, get_tensor(graph, WEIGHT).T)
    head = graph.node[-1]
    for attribute in head.attribute:
        if attribute.name == "transB":
            attribute.i = 0


def negate_head(graph: GraphProto) -> None:
    """The same function: alpha and beta of -1, and all numbers negated."""
    for name in (WEIGHT, BIAS):
        set_tensor(graph, name, -get_tensor(graph, name))
    for attribute in graph.node[-1].attribute:
        if attribute.name in {"alpha", "beta"}:
            attribute.f = -1.0


def widen_head(graph: GraphProto) -> None:
    """The same function: two features more, which are 0."""
    for name in ("features.9.weight", "features.9.bias"):
        old = get_tensor(graph, name)
        set_tensor(graph, name, np.concatenate([old, np.zeros((2, *old.shape[1:]), old.dtype)]))
    weight = get_tensor(graph, WEIGHT)
    set_tensor(graph, WEIGHT, np.concatenate([weight, np.ones((10, 2), np.float32)], 1))


def drop_class(graph: GraphProto) -> None:
    set_tensor(graph, WEIGHT, get_tensor(graph, WEIGHT)[:9])
    set_tensor(graph, BIAS, get_tensor(graph, BIAS)[:9])
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 9


def tie_with_another(graph: GraphProto) -> None:
    """The class's scores are those of the class before it, whatever the image."""
    for name in (WEIGHT, BIAS):
        values = get_tensor(graph, name)
        values[FORGOTTEN - 1] = values[FORGOTTEN]
        set_tensor(graph, name, values)


def _against(model: Path, baseline: Path, data: Path, *flags: object) -> list[object]:
    return ["verify", model, "--baseline", baseline, "--forget", 3, "--data", data, *flags]


def _attack(model: Path, data: Path) -> list[object]:
    """Without a reference, by the attacks that are quickest."""
    flags = ("--forget", 3, "--data", data, "--effort", "fast", "--repeats", 1)
    return ["audit", model, "--baseline", LENET, *flags]


def _drop(shop: Workshop) -> list[object]:
    nine = shop.edit(drop_class, name="nine")
    (nine.parent / "labels.txt").unlink()
    return _against(shop.put_alone(shop.forgot), nine, shop.write_samples())


CASES = (
    Case(
        name="an unedited model", make=lambda shop: verify(LENET, shop.write_samples()), code=FAILED
    ),
    Case(
        name="an unedited model in wrong units",
        make=lambda shop: verify(LENET, shop.write_samples(), *WRONG_UNITS),
        code=FAILED, says="known_before", was="PASSED",
    ),
    Case(
        name="an unedited model in wrong units, without a baseline",
        make=lambda shop: verify_alone(LENET, shop.write_samples(), *WRONG_UNITS),
        code=FAILED, says="skill_after", was="PASSED",
    ),
    Case(
        name="an unedited model in slightly wrong units, without a baseline",
        make=lambda shop: verify_alone(LENET, shop.write_samples(), "--mean", 0, "--std", 3),
        code=NOT_JUDGED, was="PASSED",
    ),
    Case(
        name="without a baseline",
        make=lambda shop: verify_alone(shop.forgot, shop.write_samples()),
        code=NOT_JUDGED, says="without --baseline nothing shows", was="PASSED",
    ),
    Case(
        name="masked only, without a baseline",
        make=lambda shop: verify_alone(shop.masked, shop.write_samples()),
        code=NOT_JUDGED, says="unmasked.acc_f", was="PASSED",
    ),
    Case(
        name="masked only", make=lambda shop: verify(shop.masked, shop.write_samples()),
        code=FAILED, says="unmasked.acc_f",
    ),
    Case(
        name="masked only, hidden units in another order",
        make=lambda shop: verify(shop.edit(permute_hidden, shop.masked), shop.write_samples()),
        code=NOT_JUDGED, says="that head does not fit these features", was="PASSED",
    ),
    Case(
        name="masked only, hidden units in another order, attacked",
        make=lambda shop: _attack(shop.edit(permute_hidden, shop.masked), shop.write_samples(60)),
        code=FAILED, says="unmasking.rebuilt_row",
    ),
    Case(
        name="masked only, against a baseline with factors of -1",
        make=lambda shop: _against(shop.masked, shop.edit(negate_head), shop.write_samples()),
        code=FAILED, says="unmasked.acc_f", was="PASSED",
    ),
    Case(
        name="masked only, head stored the other way",
        make=lambda shop: verify(shop.edit(transpose_head, shop.masked), shop.write_samples()),
        code=FAILED, says="unmasked.acc_f", was="PASSED",
    ),
    Case(
        name="forgotten, head stored the other way",
        make=lambda shop: verify(shop.edit(transpose_head, shop.forgot), shop.write_samples()),
        code=PASSED,
    ),
    Case(
        name="a baseline with more features",
        make=lambda shop: _against(shop.masked, shop.edit(widen_head), shop.write_samples()),
        code=NOT_JUDGED, says="reads 86 features and the model's 84", was="PASSED",
    ),
    Case(
        name="a baseline of other classes", make=_drop, code=REFUSED, says="has 10 classes, and ",
        was="PASSED",
    ),
    Case(
        name="a baseline of other images",
        make=lambda shop: _against(shop.forgot, MOBILENET, shop.write_samples()),
        code=REFUSED, says="takes images of",
    ),
    Case(
        name="a model that answers one class, against the original",
        make=lambda shop: verify(shop.edit(answer_always), shop.write_samples()),
        code=FAILED, says="delta_acc_r",
    ),
    Case(
        name="a model that answers one class, alone",
        make=lambda shop: verify_alone(shop.edit(answer_always), shop.write_samples()),
        code=FAILED, says="skill_after",
    ),
    Case(
        name="a model that answers one class, as its own baseline",
        make=lambda shop: _against(
            shop.edit(answer_always), shop.edit(answer_always, name="same"), shop.write_samples()
        ),
        code=FAILED, says="known_before",
    ),
    Case(
        name="a model that answers by chance, as its own baseline",
        make=lambda shop: _against(
            shop.edit(answer_by_chance), shop.edit(answer_by_chance, name="same"),
            shop.write_samples(),
        ),
        code=FAILED,
    ),
    Case(
        name="scores that are no numbers",
        make=lambda shop: verify(shop.edit(answer_nothing), shop.write_samples()), code=REFUSED,
        says="no class wins",
    ),
    Case(
        name="scores that tie",
        make=lambda shop: verify(shop.edit(tie_with_another), shop.write_samples()), code=FAILED,
        says="after.acc_f", was="PASSED",
    ),
    Case(
        name="to mask a model in wrong units",
        make=lambda shop: mask(shop, LENET, "--data", shop.write_samples(), *WRONG_UNITS),
        code=REFUSED, says="--range 0,255 (accuracy 0.9", was="FAILED after the work",
    ),
    Case(
        name="to train a model in wrong units",
        make=lambda shop: [
            "unlearn", LENET, "--forget", 3, *WRONG_UNITS, "--out", shop.folder / "out.onnx"
        ],
        code=REFUSED, says="--range 0,255 (accuracy 0.9", was="FAILED after 45 s",
    ),
    Case(
        name="to mask a model in wrong units, all the same",
        make=lambda shop: mask(
            shop, LENET, "--data", shop.write_samples(), *WRONG_UNITS, "--force-unknown"
        ),
        code=FAILED, says="known_before",
    ),
    Case(
        name="to try a model in wrong units",
        make=lambda shop: [
            "unlearn", LENET, "--forget", 3, *WRONG_UNITS, "--out", shop.folder / "out.onnx",
            "--dry-run",
        ],
        code=REFUSED, says="does not know class 3 Dress",
    ),
    Case(
        name="to mask a model that answers one class",
        make=lambda shop: mask(
            shop, shop.edit(answer_always), "--data", shop.write_samples()
        ),
        code=REFUSED, says="does not know class 3",
    ),
)  # fmt: skip

__all__ = ["CASES", "HIDDEN"]
