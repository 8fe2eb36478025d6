"""unlearn on a detector, the part that needs torch: lower, compare with ONNX Runtime, train."""

from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from nhle_onnx.detection.reading import read_answers
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.lowering.batches import lower_for_any_batch
from nhle_onnx.lowering.module import LoweredModel, lower_tensors
from nhle_onnx.lowering.parity import check_parity
from nhle_onnx.lowering.precision import widen_model
from nhle_onnx.runtime.session import open_session
from nhle_onnx.training.device import explain_device_faults, open_device
from nhle_onnx.unlearning import detection_objective, locations
from nhle_onnx.unlearning.detection_objective import DetectionObjective
from nhle_onnx.unlearning.detector_probing import probe_detector
from nhle_onnx.unlearning.locations import Reader
from nhle_onnx.unlearning.network import to_inputs
from nhle_onnx.unlearning.pursuit import Goal, find_step_limit, limit_batch, pursue
from nhle_onnx.unlearning.views import Scenes
from nhle_onnx.values.boxes import Boxes
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.finite import check_finite, name_model
from nhle_onnx.workflows.detection.plan import DetectionPlan
from nhle_onnx.workflows.detection.subject import Subject
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.training_course import describe_course, follow_steps
from nhle_onnx.workflows.training_result import TrainingResult

MOST_AT_ONCE = 32  # images; a map has hundreds of locations each
_COMPARED = 8  # images
_REMEDY = "Check the preprocessing, and that the images are of this model."


def train_detector(plan: DetectionPlan, watch: Stopwatch) -> TrainingResult:
    """Train the tensors before the class channels, and return their new values."""
    subject, options = plan.subject, plan.settings.options
    with watch.stage("lower", "lowering the graph to torch"):
        device = open_device(plan.settings.device, options.seed)
        lowered, parity = lower_detector(subject, plan.images)
    report_step = follow_steps(watch.observer, find_step_limit(options))
    lowered = replace(lowered, module=lowered.module.to(device))
    with watch.stage("train", "training (NHLE)"), explain_device_faults():
        tuned = pursue(
            lowered, plan.names, partial(_make_goal, plan, device), options, on_step=report_step
        )
    return TrainingResult(
        tensors=tuned.tensors,
        device=str(device),
        details={
            **describe_course(tuned),
            "level": detection_objective.LEVEL,
            "margin": detection_objective.MARGIN,
            "covering_overlap": locations.COVERS,
            "known_score": locations.KNOWN,
            "box_weight": detection_objective.BOX_WEIGHT,
        },
        points=tuned.trajectory.points,
        parity=parity,
    )


def list_outputs(subject: Subject) -> tuple[str, ...]:
    """List the tensors that training reads: boxes, scores, logits and features of each layer."""
    detector = subject.detector
    pairs = ((layer.head.logits, layer.head.features) for layer in detector.layers)
    return (detector.boxes.name, detector.scores.name, *chain.from_iterable(pairs))


def lower_detector(subject: Subject, images: np.ndarray) -> tuple[LoweredModel, float]:
    """Lower a detector; return it, and its largest difference from ONNX Runtime on `images`."""
    target, outputs = subject.image_input, list_outputs(subject)
    wide = replace(subject.model, proto=widen_model(subject.model.proto))
    lower = partial(lower_tensors, source=target.name, outputs=outputs)
    lowered = lower(wide)
    if target.batch:
        lowered = lower_for_any_batch(
            wide, lower, source=target.name, shape=target.sample_shape, size=target.batch
        )
    some = images[:_COMPARED]
    logits = tuple(layer.head.logits for layer in subject.detector.layers)
    session = open_session(expose_tensors(subject.model.proto, *logits), "cpu")
    found = session.run_several(logits, some, target, _COMPARED)
    expected = np.concatenate([each.reshape(len(some), -1) for each in found], 1)
    with name_model(subject.model.path):
        check_finite(expected, "its scores on the tuning images", _REMEDY)

    def compute(inputs: Tensor) -> Tensor:
        computed = lowered.module(inputs)[2::2]
        return torch.cat([each.flatten(1) for each in computed], 1)

    tolerance = max(part.tolerance for part in subject.parts)
    return lowered, check_parity(compute, some, expected, tolerance)


def _make_goal(
    plan: DetectionPlan, device: torch.device, module: nn.Module, original: nn.Module
) -> Goal:
    """Return what the original says of the images, and what training minimises on them."""
    subject, options = plan.subject, plan.settings.options
    layout = subject.image_input.layout or "NCHW"
    reader = Reader(detector=subject.detector, extents=subject.extents)
    forget = _to_scenes(plan.forget_images, plan.forget_boxes, layout, plan.request)
    anchors = _to_scenes(plan.anchor_images, plan.anchor_boxes, layout, plan.request)
    shown = torch.cat([forget.images, anchors.images])[:MOST_AT_ONCE]
    with torch.no_grad():
        outputs = reader(original(to_inputs(shown, layout, device)))
        boxes, scores = original(to_inputs(shown.flip(3), layout, device))[:2]
    mirrored = read_answers(subject.detector, boxes, scores, subject.extents, torch)
    probed = probe_detector(outputs, mirrored, subject.extents)
    count = subject.detector.layers[0].head.num_classes
    objective = DetectionObjective(
        module=module,
        original=original,
        reader=reader,
        request=ForgetRequest(forget=plan.request.forget, num_classes=count),
        forget=forget,
        anchors=anchors,
        scale=probed.scale,
        mirrors=probed.mirrors,
        max_shift=probed.max_shift,
        batch_size=min(limit_batch(options), MOST_AT_ONCE),
        layout=layout,
        device=device,
        generator=torch.Generator().manual_seed(options.seed),
    )
    return Goal(
        objective,
        probed,
        measures=len(plan.anchor_images) > 0,
        loosest=detection_objective.LOOSEST,
        rounded=detection_objective.ROUNDED,
    )


def _to_scenes(
    images: np.ndarray, boxes: tuple[Boxes, ...], layout: str, request: ForgetRequest
) -> Scenes:
    """Return images [N, C, H, W], with the boxes of what is to be forgotten in them."""
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    given = []
    for found in boxes:
        own = found.choose(np.isin(found.classes, request.forget))
        given.append(torch.from_numpy(np.column_stack([own.corners, own.classes])).float())
    return Scenes(pixels if layout == "NCHW" else pixels.permute(0, 3, 1, 2), tuple(given))
