"""`inspect` promises exactly what `unlearn` then does."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import Method
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.model import ModelFlags, PreprocessFlags
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.inspect import inspect_model
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out, rehearse
from support.promised_forms import CLASSES, Form, draw_form

METHODS = get_args(Method)
FORMS, BLOCK = 200, 25


def read_flags(form: Form) -> ModelFlags:
    return ModelFlags(constants=form.constants, preprocess=PreprocessFlags(size=form.size))


def try_method(form: Form, method: Method, *, trains: bool) -> str:
    """Why `unlearn` refuses, or nothing. It trains one step only, or none."""
    settings = UnlearnSettings(
        model=form.path,
        forget=(str(CLASSES - 1),),
        samples=form.path.with_name("samples.npz"),
        flags=read_flags(form),
        options=UnlearnOptions(method=method, steps=1),
        force_unknown=True,
        provider="cpu",
        device="cpu",
        force=True,
    )
    watch = Stopwatch(Silence())
    try:
        plan = plan_unlearning(settings, watch)
        if trains:
            carry_out(plan, watch)
        else:
            rehearse(plan, watch)
    except NhleOnnxError as error:
        return error.reason
    return ""


@pytest.mark.parametrize("block", range(FORMS // BLOCK))
def test_what_is_promised_is_kept(block: int, tmp_path: Path) -> None:
    kept = []
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        form = draw_form(seed, tmp_path)
        report = inspect_model(InspectSettings(model=form.path, flags=read_flags(form)))
        method = METHODS[seed % len(METHODS)]
        refusal = try_method(form, method, trains=seed % 10 == 0)
        assert report.unlearn[method] == (not refusal), (seed, method, refusal, report.reasons)
        kept.append(report.unlearn[method])
    assert 0.2 < np.mean(kept) < 0.9
