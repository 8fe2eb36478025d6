"""A report may say `passed` only where forgetting was shown: here it was not, or just so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest

from support.lenets import (
    BIAS,
    WEIGHT,
    Arrays,
    list_images,
    read_inputs,
    save,
    save_arrays,
    save_lenet,
    save_samples,
)
from support.runs import Nhle
from support.shipped import EVALUATION, LENET, SAMPLES


class Outcome(NamedTuple):
    """What a run said."""

    code: int
    report: dict[str, Any]

    @property
    def failed(self) -> set[str]:
        return self._list("failed")

    @property
    def open(self) -> set[str]:
        return self._list("not-judged")

    def _list(self, verdict: str) -> set[str]:
        return {each["name"] for each in self.report["checks"] if each["verdict"] == verdict}

    @property
    def notes(self) -> str:
        return "\n".join(self.report["notes"])


@pytest.fixture
def unlearn(nhle: Nhle, tmp_path: Path) -> Callable[..., Outcome]:
    """Run `unlearn`, by default without training, and read its report.

    A model that knows nothing would be refused, which is tested elsewhere.
    """

    def call(model: Path, *flags: object, forget: int = 3, method: str = "cwm") -> Outcome:
        flags = ("--forget", forget, "--method", method, "--out", tmp_path / "o.onnx", *flags)
        flags = (*flags, "--force-unknown")
        result = nhle("unlearn", model, *flags, "--json")
        return Outcome(result.code, json.loads(result.out))

    return call


@pytest.fixture
def verify(nhle: Nhle) -> Callable[..., Outcome]:
    def call(model: Path, *flags: object, forget: int = 3) -> Outcome:
        result = nhle("verify", model, "--forget", forget, *flags, "--json")
        return Outcome(result.code, json.loads(result.out))

    return call


def never_predict(old: Arrays) -> Arrays:
    bias = old[BIAS].copy()
    bias[3] = -1e4
    return {BIAS: bias}


def answer_nothing(old: Arrays) -> Arrays:
    return {name: np.zeros_like(old[name]) for name in (WEIGHT, BIAS)}


def mix_up(old: Arrays) -> Arrays:
    """The scores of all classes but 3 change places."""
    order = [1, 2, 4, 3, 5, 6, 7, 8, 9, 0]
    return {name: old[name][order] for name in (WEIGHT, BIAS)}


def test_a_class_that_the_model_never_predicts_is_not_forgotten(
    unlearn: Callable[..., Outcome], verify: Callable[..., Outcome], tmp_path: Path
) -> None:
    model = save_lenet(tmp_path / "m", never_predict)
    outcome = unlearn(model, "--data", EVALUATION)
    assert (outcome.code, outcome.report["passed"]) == (1, False)
    assert outcome.failed == {"known_before"}
    assert outcome.report["after"]["acc_f"] == 0
    assert "did not know class 3 Dress to begin with" in outcome.notes

    compared = verify(LENET, "--baseline", model, "--data", EVALUATION)
    assert "known_before" in compared.failed
    alone = verify(model, "--data", EVALUATION)
    assert (alone.code, alone.failed) == (6, set())
    assert "known_before" in alone.open


def test_a_dry_run_says_so_already(nhle: Nhle, tmp_path: Path) -> None:
    model = save_lenet(tmp_path / "m", never_predict)
    result = nhle("unlearn", model, "--forget", 3, "--samples", SAMPLES, "--dry-run")
    assert result.code == 3
    assert "does not know class 3" in result.err


@pytest.mark.parametrize("forget", [0, 3])
def test_a_model_that_gives_all_classes_the_same_score_shows_nothing(
    forget: int,
    unlearn: Callable[..., Outcome],
    verify: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    """It answers class 0, so all of class 0 are right before, and none is after the mask."""
    model = save_lenet(tmp_path / "m", answer_nothing)
    outcome = unlearn(model, "--data", EVALUATION, forget=forget)
    assert outcome.code == 1
    assert "skill_before" in outcome.failed
    assert ("known_before" in outcome.failed) == (forget == 3)

    alone = verify(model, "--data", EVALUATION)
    assert alone.report["after"]["acc_f"] == 0
    assert (alone.code, alone.failed) == (1, {"skill_after"})


def test_a_model_worse_than_chance_shows_nothing(
    unlearn: Callable[..., Outcome], verify: Callable[..., Outcome], tmp_path: Path
) -> None:
    model = save_lenet(tmp_path / "m", mix_up)
    outcome = unlearn(model, "--data", EVALUATION)
    assert outcome.report["before"]["acc_r"] < 0.1 < outcome.report["before"]["acc_f"]
    assert (outcome.code, outcome.failed) == (1, {"skill_before"})
    masked = tmp_path / "o.onnx"
    assert verify(
        masked, "--data", EVALUATION, "--preprocess", LENET.with_name("preprocessor_config.json")
    ).failed == {"skill_after"}


@pytest.mark.parametrize("method", ["cwm", "nhle-cwm"])
def test_images_of_another_class_show_nothing(
    method: str, unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Bags in the folder that is named Dress."""
    samples = save_samples(
        tmp_path / "s", {name: list_images(name) for name in ("Coat", "Sandal")}
        | {"Dress": list_images("Bag")}
    )  # fmt: skip
    outcome = unlearn(LENET, "--samples", samples, "--steps", 2, method=method)
    assert outcome.code == 1
    assert "known_before" in outcome.failed
    assert "did not know class 3" in outcome.notes
    assert "recognises only 0 of the 16 samples" in outcome.notes


def test_images_half_of_another_class_are_doubted(
    unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    samples = save_samples(
        tmp_path / "s", {"Dress": list_images("Dress")[:6] + list_images("Bag")[:10]}
    )
    outcome = unlearn(LENET, "--samples", samples, "--data", EVALUATION)
    assert "of the 16 samples of class 3" in outcome.notes
    assert "did not know" not in outcome.notes


@pytest.mark.parametrize("count", [1, 16])
def test_one_image_is_no_class(count: int, unlearn: Callable[..., Outcome], tmp_path: Path) -> None:
    """Alone, or again and again. It trains all the same, and the report doubts it."""
    samples = save_samples(tmp_path / "s", {"Dress": list_images("Dress")[:1] * count})
    flags = ("--samples", samples, "--data", EVALUATION, "--steps", 3, "--device", "cpu")
    outcome = unlearn(LENET, *flags, method="nhle-cwm")
    assert outcome.report["samples"]["forget"] == count
    assert "class 3 is shown by 1 image only" in outcome.notes
    assert outcome.report["method"]["steps_run"] == 3
    assert outcome.report["device"] == "cpu"


@pytest.mark.parametrize(("scenes", "noted"), [(1, True), (16, False)])
def test_samples_are_chosen_for_what_they_show(
    scenes: int,
    noted: bool,  # noqa: FBT001
    unlearn: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    """A folder that begins with one dress 16 times; nothing else in it, or 15 more dresses."""
    x, y = read_inputs()
    noise = np.random.default_rng(0).normal(scale=0.02, size=(16, *x.shape[1:]))
    first, others = (np.flatnonzero(y == index) for index in (3, 8))
    same = x[first[:1]].repeat(16, 0) + noise.astype(np.float32)
    images = np.concatenate([same, x[first[1:scenes]], x[others[:16]]])
    labels = np.array([3] * (15 + scenes) + [8] * 16)
    samples = save_arrays(tmp_path / "s.npz", images, labels)
    flags = ("--samples", samples, "--data", EVALUATION, "--steps", 1)
    outcome = unlearn(LENET, *flags, method="nhle-cwm")
    assert (outcome.report["samples"]["variety"] < 0.2) == noted
    assert ("most samples of class 3 are nearly the same" in outcome.notes) == noted


def test_classes_that_no_anchor_shows_are_named(
    unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    names = ("Dress", "Bag", "Coat")
    samples = save_samples(tmp_path / "s", {name: list_images(name) for name in names})
    flags = ("--samples", samples, "--data", EVALUATION, "--steps", 1)
    outcome = unlearn(LENET, *flags, method="nhle-cwm")
    assert "no anchor shows 7 of the 9 retained classes (0, 1, 2, 5, 6, …)" in outcome.notes


@pytest.mark.parametrize("pixel", [0, 255])
def test_blank_images_show_nothing(
    pixel: int, unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    x = np.full((32, 28, 28), pixel, np.uint8)
    samples = save_arrays(tmp_path / "s.npz", x, np.repeat([3, 5], 16))
    outcome = unlearn(LENET, "--samples", samples, "--steps", 2, method="nhle-cwm")
    assert outcome.code == 1
    assert "known_before" in outcome.failed
    assert "16 of the anchors are also among the images to forget" in outcome.notes
    assert outcome.report["samples"]["anchors"] == 0


def test_inputs_of_1e30_give_finite_figures(
    unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Each class's scores are numbers still, and so are the figures."""
    x, y = read_inputs()
    samples = save_arrays(tmp_path / "s.npz", x[:400] * np.float32(1e30), y[:400])
    outcome = unlearn(LENET, "--samples", samples, "--steps", 2, method="nhle-cwm")
    assert outcome.code == int(bool(outcome.failed))
    figures = [value for point in outcome.report["trajectory"] for value in point.values()]
    assert np.isfinite(figures).all()


def test_an_image_cannot_be_forgotten_and_kept(
    unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    anchors = save_samples(
        tmp_path / "anchors", {"all": list_images("Dress")[:5] + list_images("Bag")}
    )
    flags = ("--anchors", anchors, "--data", EVALUATION, "--steps", 1)
    outcome = unlearn(LENET, *flags, method="nhle-cwm")
    assert outcome.report["samples"]["anchors"] == 16
    assert "5 of the anchors are also among the images to forget" in outcome.notes


def test_images_that_were_tuned_on_are_poor_judges(
    unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    judges = save_samples(tmp_path / "s", {name: list_images(name) for name in ("Dress", "Bag")})
    flags = ("--samples-per-class", 12, "--data", judges, "--steps", 1)
    outcome = unlearn(LENET, *flags, method="nhle-cwm")
    assert "24 evaluation images were left out" in outcome.notes
    assert outcome.report["samples"]["eval"] == 8
    masked = unlearn(LENET, *flags[:4], "--force")
    assert "left out" not in masked.notes
    assert masked.report["samples"]["eval"] == 32


def test_few_samples_say_little(unlearn: Callable[..., Outcome], tmp_path: Path) -> None:
    few = save_samples(
        tmp_path / "s", {"Dress": list_images("Dress")[:3], "Bag": list_images("Bag")}
    )
    outcome = unlearn(LENET, "--data", few)
    assert outcome.code == 6
    assert "only 3 test images of 3 Dress: at most 63 % may still be recognised" in outcome.notes
    many = unlearn(LENET, "--data", EVALUATION, "--force")
    assert "confidence" not in many.notes


def test_no_samples_at_all_show_nothing_and_it_is_said(
    unlearn: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head can be masked without any; nothing was judged."""
    monkeypatch.chdir(tmp_path)
    outcome = unlearn(save_lenet(tmp_path / "m"))
    assert (outcome.code, outcome.failed) == (6, set())
    assert outcome.report["samples"]["eval"] == 0
    assert outcome.open == {"after.acc_f", "delta_acc_r", "skill_before"}


def test_too_few_of_few_samples_are_no_evidence(
    unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    """One of three recognised before and none after may well be the same model."""
    wrong = list_images("Bag")[:2]
    few = save_samples(
        tmp_path / "s", {"Dress": [*list_images("Dress")[:1], *wrong], "Bag": list_images("Bag")}
    )
    outcome = unlearn(LENET, "--data", few)
    assert outcome.report["before"]["acc_f"] == pytest.approx(1 / 3)
    assert (outcome.code, outcome.failed) == (1, {"known_before"})


def test_of_several_classes_each_must_have_been_known(
    unlearn: Callable[..., Outcome], tmp_path: Path
) -> None:
    data = save_samples(
        tmp_path / "s",
        {"Dress": list_images("Dress"), "Coat": list_images("Bag"), "Shirt": list_images("Shirt")},
    )
    outcome = unlearn(LENET, "--samples", data, "--forget", 4, "--forget", 7)
    assert outcome.report["before"]["acc_f"] > 0.1
    assert (outcome.code, outcome.failed) == (1, {"known_before"})
    assert "did not know class 4" in outcome.notes
    assert "after.acc_f" in outcome.open


def keep_classes(path: Path, *classes: int) -> Path:
    """LeNet-5 that knows these classes alone."""
    model = save_lenet(path)
    proto = onnx.load(model)
    for tensor in proto.graph.initializer:
        if tensor.name in {WEIGHT, BIAS}:
            values = onnx.numpy_helper.to_array(tensor)[list(classes)]
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(classes)
    (path / "labels.txt").write_text("\n".join(map(str, classes)) + "\n")
    return save(proto, path)


def test_one_retained_class_is_all_that_is_left(
    unlearn: Callable[..., Outcome], verify: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Of two. There is nothing to tell it from, and forgetting the other was shown."""
    model = keep_classes(tmp_path / "m", 3, 8)
    x, y = read_inputs()
    chosen = np.isin(y, (3, 8))
    data = save_arrays(tmp_path / "d.npz", x[chosen], (y[chosen] == 8).astype(np.int64))
    outcome = unlearn(model, "--samples", data, forget=0, method="nhle-cwm")
    assert outcome.report["before"]["acc_f"] > 0.9
    assert outcome.report["after"]["acc_r"] == 1
    assert "unmasked.acc_f" in outcome.failed or outcome.code == 0
    alone = verify(tmp_path / "o.onnx", "--data", data, forget=0)
    assert (alone.code, alone.failed) == (6, set())


def test_one_class_in_all_is_refused(nhle: Nhle, tmp_path: Path) -> None:
    model = keep_classes(tmp_path / "m", 3)
    result = nhle("unlearn", model, "--forget", 0, "--samples", SAMPLES)
    assert result.code in {2, 4}
    assert "Traceback" not in result.err
