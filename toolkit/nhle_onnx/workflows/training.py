"""unlearn, the part that needs torch: lower the graph, compare it with ONNX Runtime, train."""

from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor

from nhle_onnx.data.source import Array
from nhle_onnx.graph.head.head import Head, HeadRows
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.lowering.batches import lower_for_any_batch
from nhle_onnx.lowering.module import LoweredModel, lower_classifier
from nhle_onnx.lowering.parity import check_parity
from nhle_onnx.lowering.precision import widen_model
from nhle_onnx.runtime.memory import give_back_memory
from nhle_onnx.runtime.session import open_session
from nhle_onnx.training.device import explain_device_faults, open_device
from nhle_onnx.training.effort import ENDURANCE
from nhle_onnx.unlearning import objective
from nhle_onnx.unlearning.computed_classes import leave_out_constants, renumber_request
from nhle_onnx.unlearning.finetune import TuningData, finetune
from nhle_onnx.unlearning.pursuit import find_step_limit
from nhle_onnx.verification.finite import check_finite, name_model
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.divergence import find_diverging_node
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.plan import Plan, can_resist
from nhle_onnx.workflows.training_course import describe_course, follow_steps
from nhle_onnx.workflows.training_result import TrainingResult

_REMEDY = "Check the preprocessing, and that the samples are of this model."


def train_features(plan: Plan, watch: Stopwatch) -> TrainingResult:
    """Train the tensors in scope, and return their new values. The plan's model is not changed."""
    classifier, tuning, options = plan.classifier, plan.tuning, plan.settings.options
    with watch.stage("lower", "lowering the graph to torch"):
        device = open_device(plan.settings.device, options.seed)
        lowered, parity = lower_plan(plan)
    give_back_memory(classifier.model.size_bytes)
    classes = classifier.head.computed_classes
    request = renumber_request(plan.request, classes)
    report_step = follow_steps(watch.observer, find_step_limit(options))
    with watch.stage("train", "training (NHLE)"), explain_device_faults():
        finetuned = finetune(
            lowered,
            plan.names,
            TuningData(
                forget=tuning.forget,
                classes=np.searchsorted(classes, tuning.forget_classes),
                anchors=tuning.anchors,
                synthesizes=tuning.synthesizes,
                rows=_read_rows(plan),
            ),
            request,
            options,
            classifier.image_input,
            device=device,
            on_step=report_step,
        )
    return TrainingResult(
        tensors=finetuned.tensors,
        device=str(device),
        details={
            **describe_course(finetuned),
            "made_anchors": finetuned.made_anchors,
            "margin": objective.MARGIN,
            "adversarial_augmentation": objective.ADVERSARIAL_AUGMENTATION,
            "attack_steps": ENDURANCE[options.effort].attack_steps if finetuned.resists else 0,
        },
        points=finetuned.trajectory.points,
        parity=parity,
    )


def _read_rows(plan: Plan) -> HeadRows | None:
    """Return the head's rows where training is to resist an attacker."""
    layout = plan.classifier.head
    is_wanted = ENDURANCE[plan.settings.options.effort].attack_steps > 0
    if not (is_wanted and can_resist(plan.classifier, plan.tuning)):
        return None
    rows, chosen = Head(plan.classifier.model.proto, layout).rows, list(layout.computed_classes)
    return HeadRows(rows.weight[chosen], rows.bias[chosen])


def lower_plan(plan: Plan) -> tuple[LoweredModel, float]:
    """Lower the model; return it, and its largest difference from ONNX Runtime on the samples."""
    inputs = np.concatenate([plan.tuning.forget, plan.tuning.anchors])
    size = plan.settings.options.batch_size
    return lower_and_compare(plan.classifier, inputs[:size], size)


def lower_and_compare(
    classifier: Classifier, inputs: Array, batch_size: int
) -> tuple[LoweredModel, float]:
    """Lower a model; return it, and its largest difference from ONNX Runtime on `inputs`. Raises
    UnsupportedModelError where it differs more than its number format explains.
    """
    source, output = classifier.image_input.name, classifier.head.scores
    lower = partial(lower_classifier, source=source, head=classifier.head)
    wide = replace(classifier.model, proto=widen_model(classifier.model.proto))
    if fixed := classifier.image_input.batch:
        shape = inputs.shape[1:]
        lowered = lower_for_any_batch(wide, lower, source=source, shape=shape, size=fixed)
    else:
        lowered = lower(wide)
    classes, count = classifier.head.computed_classes, classifier.head.num_classes
    lowered = leave_out_constants(lowered, classes, count)
    tolerance = Head(classifier.model.proto, classifier.head).tolerance

    def read_scores(images: Tensor) -> Tensor:
        scores: Tensor = lowered.module(images)[0]
        return scores

    def locate() -> str:
        batch = inputs[: classifier.image_input.batch or 8].astype(classifier.image_input.dtype)
        return find_diverging_node(classifier.model.proto, wide, source, output, batch, tolerance)

    logits = _read_logits(classifier, inputs, batch_size)
    expected = logits.reshape(len(logits), count)[:, list(classes)]
    with name_model(classifier.model.path):
        check_finite(expected, "its scores on the tuning samples", _REMEDY)
    return lowered, check_parity(read_scores, inputs, expected, tolerance, locate)


def _read_logits(classifier: Classifier, inputs: Array, batch_size: int) -> Array:
    """Compute the reference: the head's logits by ONNX Runtime on the CPU."""
    real, head = with_real_values(classifier.model.proto, classifier.head)
    session = open_session(expose_tensors(real, head.scores), "cpu")
    return session.run(head.scores, inputs, classifier.image_input, batch_size)
