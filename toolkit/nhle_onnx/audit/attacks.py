"""Every attack: from the bench to figures on each model."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from nhle_onnx.audit.bench import Bench, CannotRunError, Target, read_answers
from nhle_onnx.audit.divergence import measure_divergence, measure_zrf, to_probabilities
from nhle_onnx.audit.head_rows import with_rows
from nhle_onnx.audit.membership import ATTACKS, MIN_SAMPLES, Leak, attack_membership
from nhle_onnx.audit.placement import RESOLUTION, place
from nhle_onnx.audit.probe import probe_hits
from nhle_onnx.audit.quantization import WIDTHS, quantize_statically, round_weights
from nhle_onnx.audit.relearning import (
    STEP_LIMIT,
    TOLERANCE,
    RelearnSamples,
    choose_known,
    count_steps,
    relearn,
    reset_rows,
)
from nhle_onnx.audit.separability import measure_separability
from nhle_onnx.audit.traces import guess_forgotten, measure_suspicion
from nhle_onnx.audit.unmasking import SAMPLES_PER_CLASS, rebuild_rows
from nhle_onnx.audit.untrained import reset_weights
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.batches import lower_for_any_batch
from nhle_onnx.lowering.module import LoweredModel, lower_classifier
from nhle_onnx.lowering.precision import widen_model
from nhle_onnx.values.audit import Measure, Role

_CALIBRATION = 128  # images for ONNX Runtime's static quantizer
_DRAWS = 1000
_STEPS_RESOLUTION = 2.0

Curves = dict[Role, tuple[float, ...]]
Values = Mapping[Role, float | None]


def attack_head(bench: Bench) -> tuple[Measure, ...]:
    """Unmasking: the original's head on the features, and rows rebuilt from a few samples."""
    original = bench.targets["original"]
    for role, target in bench.targets.items():
        if target.rows.weight.shape != original.rows.weight.shape:
            message = f"the {role} model's head has another shape than the original's"
            raise CannotRunError(message)
    put_back = _measure_each(
        bench,
        lambda target: bench.recognise(
            with_rows(target.model.proto, target.head, original.rows), target
        ),
    )
    rebuilt = _measure_each(bench, partial(_measure_rebuilt, bench))
    return (
        _report(
            "unmasking", "original_head", "Acc_F with the original's head", put_back, places=False
        ),
        _report(
            "unmasking",
            "rebuilt_row",
            f"Acc_F with rows rebuilt from {SAMPLES_PER_CLASS} samples",
            rebuilt,
        ),
    )


def _measure_rebuilt(bench: Bench, target: Target) -> float:
    known = choose_known(bench.classes, bench.is_attack)
    rows = rebuild_rows(
        target.rows, target.answers.features[known], bench.classes[known], bench.forgotten
    )
    return bench.recognise(with_rows(target.model.proto, target.head, rows), target)


def compare_features(bench: Bench) -> tuple[Measure, ...]:
    """Separability: how far the forgotten classes stand from the others."""
    found = {
        role: measure_separability(target.answers.features, bench.classes, bench.forgotten)
        for role, target in bench.targets.items()
    }
    titles = {
        "inter": "distance to the retained classes' centroids (D_inter)",
        "intra": "distance to its own centroid (D_intra)",
        "ratio": "separability, D_inter / D_intra",
    }
    return tuple(
        _report(
            "separability",
            name,
            title,
            {role: getattr(value, name) for role, value in found.items()},
        )
        for name, title in titles.items()
    )


def attack_by_probe(bench: Bench) -> tuple[Measure, ...]:
    """A new linear head on the features, trained on labelled samples of all classes."""
    hits = {
        role: probe_hits(target.answers.features, bench.classes, bench.is_attack, bench.forgotten)
        for role, target in bench.targets.items()
    }
    rng = np.random.default_rng(bench.seed)
    draws = rng.choice(hits["edited"], (_DRAWS, len(hits["edited"]))).mean(1)
    low, high = np.percentile(draws, (2.5, 97.5))
    measure = _report(
        "probe",
        "recall",
        "recall of a new linear head",
        {role: float(found.mean()) for role, found in hits.items()},
    )
    return (replace(measure, interval=(float(low), float(high))),)


def attack_by_relearning(
    bench: Bench, device: torch.device, curves: Curves, on_step: Callable[[Role, int, int], None]
) -> tuple[Measure, ...]:
    """Train on a few labelled samples until the class is back; fills `curves`."""
    known = choose_known(bench.classes, bench.is_attack)
    samples = RelearnSamples(
        known=bench.inputs[known],
        known_classes=bench.classes[known],
        judged=bench.inputs[bench.is_judge],
        judged_classes=bench.classes[bench.is_judge],
    )
    original = bench.targets["original"].answers.scores[bench.is_judge]
    was = float((original.argmax(1) == bench.classes[bench.is_judge]).mean())
    goal = (1 - TOLERANCE) * was
    if not goal:
        message = "the original does not know the class"
        raise CannotRunError(message)
    for role, target in bench.targets.items():
        try:
            lowered = _lower(bench, target)
        except UnsupportedModelError as error:
            message = f"the {role} model cannot be trained: {error.reason}"
            raise CannotRunError(message) from error
        curves[role] = relearn(
            lowered,
            samples,
            goal=goal,
            device=device,
            seed=bench.seed,
            on_step=partial(_pass_on, on_step, role),
        )
    steps = {role: float(count_steps(curve, goal)) for role, curve in curves.items()}
    reported = _report(
        "relearning",
        "steps",
        f"steps until {1 - TOLERANCE:.0%} of the original Acc_F is back (at most {STEP_LIMIT})",
        steps,
        resolution=_STEPS_RESOLUTION,
    )
    if "reference" not in steps:
        return (reported,)
    ratios = {role: count / max(1.0, steps["reference"]) for role, count in steps.items()}
    title = "steps relative to the retrained model's (AIN)"
    return reported, _report("relearning", "ain", title, ratios, places=False)


def _pass_on(on_step: Callable[[Role, int, int], None], role: Role, step: int) -> None:
    on_step(role, step, STEP_LIMIT)


def _lower(bench: Bench, target: Target) -> LoweredModel:
    rows = reset_rows(target.rows, bench.forgotten)
    proto = with_rows(target.model.proto, target.head, rows)
    model = replace(target.model, proto=widen_model(proto))
    source = target.image_input.name
    lower = partial(lower_classifier, source=source, head=target.head)
    if size := target.image_input.batch:
        shape = bench.inputs.shape[1:]
        return lower_for_any_batch(model, lower, source=source, shape=shape, size=size)
    return lower(model)


def attack_privacy(bench: Bench) -> tuple[Measure, ...]:
    """Membership inference: are samples that the original was trained on told from others?"""
    classes = np.concatenate([bench.member_classes, bench.classes[bench.is_forgotten]])
    is_member = np.arange(len(classes)) < len(bench.member_classes)
    if min(is_member.sum(), (~is_member).sum()) < MIN_SAMPLES:
        message = (
            f"it needs at least {MIN_SAMPLES} samples of the forgotten classes that the original "
            "was trained on (--members), and as many that it was not"
        )
        raise CannotRunError(message)
    measures: list[Measure] = []
    for name, read_clues in ATTACKS.items():
        leaks = {
            role: attack_membership(
                read_clues(_read_member_probabilities(bench, target), classes),
                is_member,
                bench.seed,
            )
            for role, target in bench.targets.items()
        }
        measures += _report_leaks(name, leaks)
    return tuple(measures)


def _read_member_probabilities(bench: Bench, target: Target) -> np.ndarray:
    if target.member_answers is None:
        message = "no members were given"
        raise CannotRunError(message)
    scores = (target.member_answers.scores, target.answers.scores[bench.is_forgotten])
    return to_probabilities(np.concatenate(scores))


def _report_leaks(name: str, leaks: Mapping[Role, Leak]) -> list[Measure]:
    accuracy, alarms = (
        _report("membership", f"{name}.{field}", f"{title}, from {name}", {
            role: getattr(leak, field) for role, leak in leaks.items()
        })
        for field, title in (
            ("balanced_accuracy", "members told from others (balanced accuracy)"),
            ("true_alarms", "members found at 1 % false alarms"),
        )
    )  # fmt: skip
    edited = leaks["edited"]
    return [
        replace(accuracy, interval=edited.balanced_accuracy_interval),
        replace(alarms, interval=edited.true_alarms_interval),
    ]


def compare_answers(bench: Bench) -> tuple[Measure, ...]:
    """Output divergence on samples of the forgotten classes."""
    answers = {
        role: to_probabilities(target.answers.scores[bench.is_judge])
        for role, target in bench.targets.items()
    }
    edited = bench.targets["edited"]
    untrained = reset_weights(edited.model.proto, edited.head, bench.seed)
    scores = read_answers(
        untrained, edited.head, edited.image_input, bench.inputs[bench.is_judge],
        provider=bench.provider, batch_size=bench.batch_size,
    ).scores  # fmt: skip
    random = to_probabilities(scores)
    zrf = {role: measure_zrf(found, random) for role, found in answers.items()}
    measures = [_report("divergence", "zrf", "likeness to an untrained network (ZRF)", zrf)]
    if "reference" in answers:
        distances = {
            role: float(measure_divergence(found, answers["reference"]).mean())
            for role, found in answers.items()
        }
        title = "difference from the retrained model's answers (JS, bits)"
        measures.append(_report("divergence", "js_to_reference", title, distances))
    return tuple(measures)


def attack_by_rounding(bench: Bench) -> tuple[Measure, ...]:
    """Weights rounded as deployment does: own head, and the original's put back before."""
    edited, original = bench.targets["edited"], bench.targets["original"]
    measures = []
    for bits in WIDTHS:
        rounded = round_weights(edited.model.proto, bits)
        measures.append(_report_edited(f"int{bits}.acc_f", f"Acc_F, weights rounded to {bits} bits",
                                       bench.recognise(rounded, edited)))  # fmt: skip
        if edited.rows.weight.shape == original.rows.weight.shape:
            restored = with_rows(rounded, edited.head, original.rows)
            measures.append(
                _report_edited(
                    f"int{bits}.unmasked",
                    f"the same with the original's head, {bits} bits",
                    bench.recognise(restored, edited),
                )
            )
    return tuple(measures)


def attack_by_quantizing(bench: Bench) -> tuple[Measure, ...]:
    """A real static int8 model by ONNX Runtime's quantizer."""
    edited = bench.targets["edited"]
    images = bench.inputs[bench.is_attack & ~bench.is_forgotten][:_CALIBRATION]
    try:
        quantized = quantize_statically(edited.model.proto, edited.image_input, images)
        value = bench.recognise(quantized, edited)
    except UnsupportedModelError as error:
        raise CannotRunError(error.reason) from error
    return (_report_edited("static_int8.acc_f", "Acc_F, static int8 by ONNX Runtime", value),)


def look_for_traces(bench: Bench) -> tuple[Measure, ...]:
    """Whether the weights alone show that a class was masked, and which."""
    forgotten = list(bench.forgotten)
    suspicion = _measure_each(
        bench, lambda target: float(measure_suspicion(target.rows)[forgotten].max())
    )
    guessed = _measure_each(
        bench,
        lambda target: float(guess_forgotten(target.rows, len(forgotten)) == bench.forgotten),
    )
    return (
        _report("traces", "outlier", "how far its row or bias stands out (robust sd)", suspicion,
                places=False),
        _report("traces", "guessed", "the class can be guessed from the head's weights", guessed,
                places=False),
    )  # fmt: skip


def _measure_each(bench: Bench, measure: Callable[[Target], float]) -> dict[Role, float]:
    return {role: measure(target) for role, target in bench.targets.items()}


def _report(
    attack: str,
    name: str,
    title: str,
    values: Values,
    *,
    places: bool = True,
    resolution: float = RESOLUTION,
) -> Measure:
    original, edited, reference = (
        values.get("original"), values.get("edited"), values.get("reference")
    )  # fmt: skip
    position = place(original, edited, reference, resolution=resolution) if places else None
    return Measure(
        attack=attack,
        name=f"{attack}.{name}",
        title=title,
        original=original,
        edited=edited,
        reference=reference,
        position=position,
    )


def _report_edited(name: str, title: str, value: float) -> Measure:
    return _report("quantization", name, title, {"edited": value})
