"""Commands as new users give them, and files that belong to something else."""

import shutil
from pathlib import Path

from support.shipped import EVALUATION, LENET, SAMPLES
from support.verdicts.case import (
    FAILED,
    FORGOTTEN,
    NOT_JUDGED,
    PASSED,
    REFUSED,
    Case,
    Workshop,
    mask,
    verify,
    verify_alone,
)


def _copy_images(shop: Workshop, label: str, count: int) -> Path:
    folder = shop.folder / "samples" / label
    folder.mkdir(parents=True)
    for file in sorted((SAMPLES / label).iterdir())[:count]:
        shutil.copy(file, folder)
    return folder.parent


def _unlearn(shop: Workshop, *flags: object, model: Path = LENET) -> list[object]:
    return ["unlearn", model, "--forget", 3, "--out", shop.folder / "out.onnx", *flags]


def _audit(shop: Workshop, model: Path, *flags: object) -> list[object]:
    given = ("--forget", 3, "--data", shop.write_samples(40), "--effort", "fast", "--repeats", 1)
    return ["audit", model, "--baseline", LENET, *given, *flags]


def _give_other_report(shop: Workshop) -> list[object]:
    report = shop.forgot.with_suffix(".report.json")
    flags = ("--unlearn-report", report, "--report", shop.folder / "page.html")
    return _audit(shop, shop.masked, *flags)


CASES = (
    Case(
        name="three images of one class, and nothing else",
        make=lambda shop: _unlearn(
            shop, "--samples", _copy_images(shop, "Dress", 3), "--steps", 5
        ),
        code=FAILED, says="after.acc_f", was="PASSED",
    ),
    Case(
        name="three images of one class, forgotten",
        make=lambda shop: _unlearn(shop, "--samples", _copy_images(shop, "Dress", 3)),
        code=NOT_JUDGED, says="the images that it was tuned on", was="PASSED",
    ),
    Case(
        name="masked without any image",
        make=lambda shop: mask(shop, shop.put_alone(LENET)),
        code=NOT_JUDGED, says="there is no image of 3", was="PASSED",
    ),
    Case(
        name="judged by the images that it is tuned on",
        make=lambda shop: _unlearn(
            shop, "--samples", _copy_images(shop, "Dress", 16), "--anchors", "off",
            "--data", shop.folder / "samples",
        ),
        code=NOT_JUDGED, says="there is no image of 3 Dress", was="PASSED",
    ),
    Case(
        name="masked, and judged by all images",
        make=lambda shop: mask(shop, LENET, "--data", EVALUATION),
        code=PASSED, says="masked, not forgotten",
    ),
    Case(
        name="masked, and judged by images of the class alone",
        make=lambda shop: mask(
            shop, LENET, "--data", shop.write_samples({FORGOTTEN: 200})
        ),
        code=NOT_JUDGED, says="9 of 9 retained classes",
    ),
    Case(
        name="to try what the run then does",
        make=lambda shop: _unlearn(shop, "--dry-run", "--json"), code=PASSED, says="would_write",
    ),
    Case(
        name="labels are found by the baseline",
        make=lambda shop: verify(
            shop.put_alone(shop.forgot), shop.write_samples(), forget="Dress"
        ),
        code=PASSED, was="no class 'Dress'",
    ),
    Case(
        name="labels and preprocessing are found in the report",
        make=lambda shop: verify_alone(shop.forgot, shop.write_samples(), forget="Dress"),
        code=NOT_JUDGED, says="3 Dress", was="no class 'Dress'",
    ),
    Case(
        name="an audit of a masked model, without a reference",
        make=lambda shop: _audit(shop, shop.masked), code=FAILED, says="unmasking.rebuilt_row",
    ),
    Case(
        name="an audit without a reference",
        make=lambda shop: _audit(shop, shop.forgot),
        code=NOT_JUDGED, says="without --reference it cannot be told", was="PASSED",
    ),
    Case(
        name="an audit whose reference is the edited model",
        make=lambda shop: _audit(
            shop, shop.forgot, "--reference", shop.put_alone(shop.forgot)
        ),
        code=REFUSED, says="answers exactly as the edited model", was="PASSED",
    ),
    Case(
        name="an audit whose reference is the original",
        make=lambda shop: _audit(shop, shop.forgot, "--reference", shop.put_alone(LENET)),
        code=REFUSED, says="answers exactly as the original model",
    ),
    Case(
        name="an audit with the report of another model", make=_give_other_report, code=REFUSED,
        says="is the report of another model", was="shown as this one's",
    ),
    Case(
        name="a patch with the report of another model",
        make=lambda shop: [
            "patch", "create", LENET, shop.masked, "-o", shop.folder / "p.nhlepatch", "--report",
            shop.forgot.with_suffix(".report.json"),
        ],
        code=REFUSED, says="is the report of another model", was="its classes were claimed",
    ),
    Case(
        name="a kit without a baseline",
        make=lambda shop: [
            "kit", shop.forgot, "--forget", 3, "--data", EVALUATION, "-o", shop.folder / "kit.zip"
        ],
        code=NOT_JUDGED, says="without --baseline", was="PASSED",
    ),
    Case(
        name="a kit with a baseline",
        make=lambda shop: [
            "kit", shop.forgot, "--baseline", LENET, "--forget", 3, "--data", EVALUATION,
            "-o", shop.folder / "kit.zip",
        ],
        code=PASSED,
    ),
    Case(
        name="a kit of few images",
        make=lambda shop: [
            "kit", shop.forgot, "--baseline", LENET, "--forget", 3, "--data", EVALUATION,
            "--limit", 20, "-o", shop.folder / "kit.zip",
        ],
        code=NOT_JUDGED, says="may still be recognised", was="PASSED",
    ),
)  # fmt: skip
