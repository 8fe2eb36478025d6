"""A kit as a value, small enough to be counted by hand."""

import dataclasses
import hashlib
import json
from typing import Any

from nhle_onnx.release.kit.results import list_device_checks, measure_answers
from nhle_onnx.release.report import render_json
from nhle_onnx.values.kit import Answer, HostFigures, Kit, KitImages, KitModel
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.settings.gates import DeviceLimits

CLASSES = (0, 0, 1, 1, 2, 2, 2, 2)
EXPECTED = (0, 2, 0, 2, 2, 2, 2, 0)
DIGEST = "0" * 64
BEFORE = Accuracy(acc_f=1.0, acc_r=0.5, per_class=(0.5, 1.0, 0.5))


def make_kit(before: Accuracy | None = BEFORE, **changes: Any) -> Kit:  # noqa: ANN401 - fields of any type
    kit = Kit(
        tool={"name": "t"},
        model=KitModel(file="model/m.onnx", sha256=DIGEST, size_bytes=4, sidecars={}),
        output="y",
        images=KitImages(
            file="images.bin", sha256=DIGEST, input="x", dtype="float32", shape=(1, 2, 2), batch=1
        ),
        labels=("cat", "dog", "owl"), forget=(1,), classes=CLASSES, expected=EXPECTED,
        host=HostFigures(
            runtime="r", provider="CPU", before=before,
            after=Accuracy(acc_f=None, acc_r=None, per_class=()),
        ),
        limits=DeviceLimits(),
    )  # fmt: skip
    after = measure_answers(kit, EXPECTED).after
    host = dataclasses.replace(kit.host, after=after)
    return dataclasses.replace(kit, **({"host": host} | changes))


MODEL, IMAGES = b"model", b"images"


def make_kit_with_files(folder: str) -> Kit:
    """A kit that states the digests of `MODEL`, of the weights `w` beside it, and of `IMAGES`."""
    model, weights, images = (hashlib.sha256(it).hexdigest() for it in (MODEL, b"w", IMAGES))
    kit = make_kit()
    stated = KitModel(
        file=f"{folder}m.onnx", sha256=model, size_bytes=5, sidecars={"w.bin": weights}
    )
    return make_kit(model=stated, images=dataclasses.replace(kit.images, sha256=images))


def write_result(kit: Kit, answers: tuple[Answer, ...] = ()) -> dict[str, Any]:
    """Write what a device would; by default, it answers as the host."""
    answers = answers or kit.expected
    figures = measure_answers(kit, answers)
    checks = list_device_checks(figures, kit.limits, kit.task)
    text = render_json(kit)
    return {
        "schema": "nhle-onnx/device-result/v1", "runner": "verify.py", "measured_at": "now",
        "model_sha256": kit.model.sha256,
        "runtime": {"name": "onnxruntime", "version": "1", "providers": ["CPU"]},
        "device": {"cores": 4}, "samples": kit.samples,
        "latency_ms": {"p50": 1.0, "p90": 2.0, "p99": 3.0},
        **json.loads(render_json(figures)),
        "verdict": {
            "passed": all(check.passed for check in checks),
            "checks": [dataclasses.asdict(check) for check in checks],
        },
        "predictions": list(answers),
        "kit": {"sha256": hashlib.sha256(text.encode()).hexdigest(), "document": text},
    }  # fmt: skip
