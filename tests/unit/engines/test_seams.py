"""To add an engine or a form of samples is one file and one row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nhle_onnx.data import samples
from nhle_onnx.data.arrays import open_arrays
from nhle_onnx.data.source import SampleSource
from nhle_onnx.engines import choose
from nhle_onnx.engines.engine import Outcome
from nhle_onnx.engines.serial import SerialEngine
from nhle_onnx.errors import UsageError
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from support.runs import Nhle
from support.shipped import EVALUATION, LENET


class Backwards(SerialEngine):
    """A toy: does the last job first."""

    def run(
        self, function: Callable[[Any], Any], jobs: Mapping[str, Any], retries: int
    ) -> Iterator[Outcome[Any]]:
        return super().run(function, dict(reversed(jobs.items())), retries)


def test_an_engine_is_one_row(monkeypatch: pytest.MonkeyPatch, nhle: Nhle) -> None:
    flags = ("--forget", 3, "--data", EVALUATION, "--engine", "backwards", "--json")
    assert nhle("verify", LENET, *flags).code == 2
    toy = choose.Kind(lambda _address, _workers: nullcontext(Backwards()))
    monkeypatch.setitem(choose.ENGINES, "backwards", toy)
    assert '"acc_f": 0.8' in nhle("verify", LENET, *flags).out
    with pytest.raises(UsageError, match="backwards://there"):
        choose.check_engine("backwards://there")


def test_a_form_of_samples_is_one_row(
    monkeypatch: pytest.MonkeyPatch, nhle: Nhle, tmp_path: Path
) -> None:
    """A toy: an .npz under another suffix, with its images upside down."""
    with np.load(EVALUATION) as archive:
        np.savez(tmp_path / "turned.npz", x=archive["x"][:, ::-1], y=archive["y"])
    data = (tmp_path / "turned.npz").rename(tmp_path / "data.turned")
    plain = nhle("verify", LENET, "--forget", 3, "--data", data, "--json").out

    def open_turned(
        path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
    ) -> SampleSource:
        with np.load(path) as archive:
            np.savez(path.with_suffix(".npz"), x=archive["x"][:, ::-1], y=archive["y"])
        return open_arrays(path.with_suffix(".npz"), target, preprocess, len(labels))

    row = samples.Format(lambda path: path.suffix == ".turned", open_turned)
    monkeypatch.setattr(samples, "FORMATS", [row, *samples.FORMATS])
    turned = nhle("verify", LENET, "--forget", 3, "--data", data, "--json").out
    assert turned != plain
    assert '"acc_f": 0.8' in turned
