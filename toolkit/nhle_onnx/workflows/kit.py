"""kit: everything that a device needs to verify a model itself. Never imports torch."""

import hashlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.labels import parse_request
from nhle_onnx.data.samples import open_samples
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import is_output
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.graph.subgraph import with_output
from nhle_onnx.release.kit.archive import pack_files
from nhle_onnx.release.kit.contents import KIT_JSON, make_contents
from nhle_onnx.release.kit.picking import pick_images
from nhle_onnx.release.kit.results import judge_accuracy, measure_answers
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.kit import KitReport, KitSamples
from nhle_onnx.values.settings.kit import KitSettings
from nhle_onnx.verification.accuracy import predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.workflows.classifier import (
    TOOL,
    Classifier,
    open_classifier,
    require_all_classes,
    summarize_file,
)
from nhle_onnx.workflows.detection.kit import draft_detector
from nhle_onnx.workflows.detection.subject import DetectorFoundError
from nhle_onnx.workflows.file_facts import summarize_contents
from nhle_onnx.workflows.kit_parts import (
    Answers,
    Draft,
    check_fed,
    check_kept,
    count_most,
    draft_kit,
    require_forgotten,
)
from nhle_onnx.workflows.measure import describe_suspicion
from nhle_onnx.workflows.observer import Observer


def make_kit(settings: KitSettings, observer: Observer) -> KitReport:
    """Run the chosen images here, and write them with the model and the programs for a device."""
    check_writable(settings.out, force=settings.force)
    observer.start_stage("loading")
    companions = (settings.baseline,) if settings.baseline else ()
    try:
        classifier = open_classifier(settings.model, settings.flags, companions)
    except DetectorFoundError as found:
        return _pack(settings, draft_detector(settings, found.subject, observer), observer)
    return _pack(settings, _draft(settings, classifier, observer), observer)


def _pack(settings: KitSettings, draft: Draft, observer: Observer) -> KitReport:
    """Judge what was found here, and write the kit."""
    kit = draft.kit
    figures = measure_answers(kit, kit.expected)
    checks, unmeasured = judge_accuracy(kit, figures, kit.limits)
    checks = word_checks(checks, "flags")
    gaps = dict.fromkeys(check.gap for check in checks if check.verdict == "not-judged")
    kit = replace(kit, gaps=tuple(gaps))
    observer.start_stage("packing")
    contents, notes = make_contents(kit, draft.data)
    archive = pack_files(contents)
    write_files({settings.out: archive}, force=settings.force)
    before = kit.host.before if kit.task == "classifier" else None
    suspicion = describe_suspicion(before) if before else ()
    return KitReport(
        tool=TOOL,
        model=summarize_file(draft.model),
        baseline=summarize_file(draft.baseline) if draft.baseline else None,
        kit=summarize_contents(settings.out, {settings.out: archive}),
        kit_json_sha256=hashlib.sha256(contents[KIT_JSON]).hexdigest(),
        labels=kit.labels,
        forget=kit.forget,
        samples=draft.samples,
        provider=kit.host.provider,
        before=kit.host.before,
        after=figures.after,
        delta_acc_r=figures.delta_acc_r,
        notes=(*suspicion, *unmeasured, *notes),
        checks=checks,
        task=kit.task,
    )


def _draft(settings: KitSettings, classifier: Classifier, observer: Observer) -> Draft:
    """Choose images, and have a classifier answer them."""
    _check_shown(settings, classifier)
    check_fed(classifier)
    request = parse_request(settings.forget, classifier.labels)
    baseline = None
    if settings.baseline:
        baseline = open_classifier(settings.baseline, settings.flags, (settings.model,))
    check_kept(settings, classifier, baseline)
    target = classifier.image_input
    source = open_samples(settings.data, target, classifier.preprocess, classifier.labels)
    require_forgotten(settings, source.classes, request)
    positions = pick_images(source.classes, request, count_most(settings, target))
    images, classes = source.read(positions.tolist()), source.classes[positions]
    check_writable(settings.out, force=settings.force)  # again, now that the samples are known
    observer.start_stage("measuring")
    answers = Answers(
        classes=classes,
        after=_predict(classifier, images),
        before=_predict(baseline, images) if baseline else None,
    )
    samples = KitSamples(
        kit=len(classes),
        forgotten=int(np.isin(classes, request.forget).sum()),
        available=len(source.classes),
        source=str(settings.data),
    )
    return draft_kit(
        settings,
        classifier,
        baseline,
        images,
        answers,
        output=classifier.head.output,
        request=request,
        samples=samples,
    )


def _check_shown(settings: KitSettings, classifier: Classifier) -> None:
    """Raise UnsupportedModelError for a model whose scores a kit's programs do not see."""
    if not is_output(classifier.model.proto, classifier.head.output):
        message = (
            f"{settings.model} shows no scores, which a kit compares: {classifier.head.output} is "
            "not one of its outputs"
        )
        raise UnsupportedModelError(message, remedy="Export it with the scores as an output.")
    require_all_classes(classifier, "a kit")


def _predict(classifier: Classifier, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Answer the images one at a time, as a device does. If the graph fixes a larger batch size,
    the batch holds copies of the image.
    """
    target = classifier.image_input
    batch = target.batch or 1
    session = open_session(with_output(classifier.model.proto, classifier.head.output), "cpu")
    repeated = np.repeat(images, batch, axis=0)
    outputs = session.run(classifier.head.output, repeated, target, 1)
    with name_model(classifier.model.path):
        return predict_classes(outputs[::batch])
