"""Samples batch by batch: the same inputs as all at once, in order, in little memory."""

import io
import os
import signal
import subprocess
import tarfile
import tempfile
import threading
import tracemalloc
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import recall_score

from nhle_onnx.data.lanes import run_in_lanes
from nhle_onnx.data.npz import open_array
from nhle_onnx.data.preprocess import shape_image
from nhle_onnx.data.samples import open_samples
from nhle_onnx.data.source import Array, Fill, SampleSource
from nhle_onnx.data.stacks import shape_stack
from nhle_onnx.data.stream import stream_batches
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.verification.accuracy import compute_accuracy, count_hits
from nhle_onnx.workflows import measure
from nhle_onnx.workflows.classifier import open_classifier
from nhle_onnx.workflows.measure import Evaluation, count_classes, load_classifier
from support.inputs import make_input
from support.runs import make_interruptible
from support.shipped import EVALUATION, LENET, MOBILENET, SAMPLES

SUBJECT = open_classifier(LENET, ModelFlags())
TARGET = SUBJECT.image_input
REQUEST = ForgetRequest(forget=(3,), num_classes=10)


def open_lenet_samples(path: Path) -> SampleSource:
    return open_samples(path, TARGET, SUBJECT.preprocess, SUBJECT.labels)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SampleSource]:
    """The same 160 samples as files, and as arrays of images and of inputs."""
    folder = tmp_path_factory.mktemp("forms")
    files = open_lenet_samples(SAMPLES)
    images = np.stack([np.asarray(Image.open(file)) for file in files.files])
    inputs = files.read(range(len(files.classes)))
    np.savez(folder / "stored.npz", x=images, y=files.classes)
    np.savez_compressed(folder / "compressed.npz", x=images, y=files.classes)
    np.savez_compressed(folder / "inputs.npz", x=inputs, y=files.classes)
    names = ("stored.npz", "compressed.npz", "inputs.npz")
    return {"folder": files, **{name: open_lenet_samples(folder / name) for name in names}}


@pytest.mark.parametrize("form", ["folder", "stored.npz", "compressed.npz", "inputs.npz"])
@settings(max_examples=12, deadline=None)
@given(
    indices=st.sets(st.integers(0, 159), min_size=1).map(sorted),
    batch_size=st.sampled_from([1, 7, 64, 300]),
)
def test_batches_are_the_samples_in_order(
    forms: dict[str, SampleSource], form: str, indices: list[int], batch_size: int
) -> None:
    batches = [batch.copy() for batch in stream_batches(forms[form], indices, batch_size)]
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    np.testing.assert_array_equal(np.concatenate(batches), forms["folder"].read(indices))


def test_batches_that_are_held_stay_as_they_are(forms: dict[str, SampleSource]) -> None:
    whole = forms["folder"].read(range(160))
    held: deque[Array] = deque(maxlen=3)
    batches = stream_batches(forms["stored.npz"], range(160), 20, held=3)
    for start, batch in zip(range(0, 160, 20), batches, strict=True):
        held.append(batch)
        expected = whole[max(0, start - 40) : start + 20]
        np.testing.assert_array_equal(np.concatenate(held), expected)


def test_lanes_work_side_by_side_and_answer_in_order() -> None:
    all_there, begun = threading.Barrier(3, timeout=10), []

    def work(number: int, letter: str) -> str:
        begun.append(number)
        all_there.wait()  # which only three at a time pass
        return f"{letter}{number}"

    with closing(run_in_lanes(work, range(6), "abcdef", 3)) as answers:
        assert next(answers) == "a0"
        assert sorted(begun)[:3] == [0, 1, 2]
        assert list(answers) == ["b1", "c2", "d3", "e4", "f5"]


def test_a_lane_that_fails_ends_them_all() -> None:
    def work(number: int, letter: str) -> str:
        if number == 1:
            raise ValueError(letter)
        return letter

    with closing(run_in_lanes(work, range(9), "abcdefghi", 2)) as answers:
        assert next(answers) == "a"
        with pytest.raises(ValueError, match=r"^b$"):
            next(answers)
    assert not any(thread.name.startswith("lane") for thread in threading.enumerate())


def test_a_lane_that_is_done_need_not_wait_for_an_earlier_one() -> None:
    third_began = threading.Event()

    def work(number: int, _: str) -> bool:
        if number == 0:
            return third_began.wait(10)
        if number > 1:
            third_began.set()
        return True

    with closing(run_in_lanes(work, range(4), "abcd", 2)) as answers:
        assert list(answers) == [True] * 4


@pytest.mark.parametrize(
    ("small_bytes", "count", "size"), [(2**22, 640, 64), (2**22, 30, 15), (28 * 28 * 4, 640, 32)]
)
def test_a_lane_takes_more_of_small_images_and_leaves_work_for_others(
    small_bytes: int, count: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "count_lanes", lambda: 2)
    monkeypatch.setattr(measure, "_SMALL_BYTES", small_bytes)
    model = load_classifier(SUBJECT, "cpu", "exact")
    evaluation = Evaluation(
        samples=open_lenet_samples(EVALUATION), indices=range(count), source="part"
    )
    done: list[int] = []
    count_classes([model], evaluation, REQUEST, 64, lambda now, _: done.append(now))
    assert done == list(range(size, count + 1, size))


@pytest.mark.parametrize("lanes", [1, 3])
def test_counts_do_not_depend_on_lanes(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_lenet_samples(EVALUATION)
    monkeypatch.setattr(measure, "count_lanes", lambda: lanes)
    model = load_classifier(SUBJECT, "cpu", "exact")
    assert model.session.lanes == lanes
    evaluation = Evaluation(samples=source, indices=range(0, 2000, 3), source="part")
    (counts,) = count_classes([model], evaluation, REQUEST, 64)
    inputs, classes = evaluation.read(), evaluation.classes
    session = open_session(SUBJECT.model.proto, "cpu")
    scores = session.run(SUBJECT.head.output, inputs, TARGET, len(inputs))
    assert counts == count_hits(scores.argmax(1), classes, 10)


@pytest.mark.parametrize("form", ["folder", "stored.npz"])
def test_samples_come_in_the_order_asked_for(forms: dict[str, SampleSource], form: str) -> None:
    everything = forms["folder"].read(range(160))
    asked = [99, 3, 3, 159, 0]
    np.testing.assert_array_equal(forms[form].read(asked), everything[asked])
    assert forms[form].read(()).shape == (0, 1, 28, 28)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 49), min_size=1).map(sorted), st.booleans(), st.integers(1, 9))
def test_rows_are_those_that_numpy_reads(
    indices: list[int],
    compresses: bool,  # noqa: FBT001
    size: int,
) -> None:
    rows = np.random.default_rng(0).integers(0, 99, (50, 3, 2), dtype=np.int32)
    save = np.savez_compressed if compresses else np.savez
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npz"
        save(path, x=rows)
        pieces = [indices[start : start + size] for start in range(0, len(indices), size)]
        read = np.concatenate(list(open_array(path, "x").read_rows(pieces)))
        np.testing.assert_array_equal(read, np.load(path)["x"][indices])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    *[st.integers(1, 40)] * 4,
    st.integers(0, 5),
    st.sampled_from([(), (3,), (4,)]),
    st.sampled_from([1, 3, 4]),
)
@example(1, 5, 5, 1, 4, 4, (), 1)  # few images tell the orders of axes apart
def test_a_stack_is_resized_as_pillow_resizes_each(
    count: int, height: int, width: int, to_height: int, to_width: int, resample: int,
    depth: tuple[int, ...], channels: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, height, width, *depth), dtype=np.uint8)
    preprocess = Preprocess(source="test", size=(to_height, to_width), resample=resample)
    target = make_input(channels, to_height, to_width)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    expected = [
        np.asarray(
            Image.fromarray(image).convert(mode).resize((to_width, to_height), resample)
        ).reshape(to_height, to_width, channels)
        for image in images
    ]
    shaped = shape_stack(images, target, preprocess)
    np.testing.assert_array_equal(np.broadcast_to(shaped, np.shape(expected)), expected)
    one = shape_image(Image.fromarray(images[0]), target, preprocess)
    np.testing.assert_array_equal(np.broadcast_to(one, expected[0].shape), expected[0])


def measure_peak(path: Path) -> int:
    """Bytes that streaming holds at most."""
    source = open_lenet_samples(path)
    indices = range(len(source.classes))
    for _ in stream_batches(source, indices, 32):  # what is loaded once, and stays
        pass
    tracemalloc.start()
    for _ in stream_batches(source, indices, 32):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_does_not_grow_with_samples(tmp_path: Path, save: Callable[..., None]) -> None:
    peaks = []
    for count in (500, 4000):
        images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        save(tmp_path / f"{count}.npz", x=images, y=np.zeros(count, np.int64))
        peaks.append(measure_peak(tmp_path / f"{count}.npz"))
    assert peaks[1] < peaks[0] + 3500 * 28 * 28 / 4


def test_memory_does_not_grow_with_files(tmp_path: Path) -> None:
    original = next((SAMPLES / "Dress").iterdir())
    peaks = []
    for count in (100, 800):
        of_class = tmp_path / str(count) / "3"
        of_class.mkdir(parents=True)
        for index in range(count):
            (of_class / f"{index}.png").symlink_to(original)
        peaks.append(measure_peak(tmp_path / str(count)))
    assert peaks[1] < peaks[0] + 700 * 28 * 28


def test_a_broken_file_is_named_after_the_batches_before_it(tmp_path: Path) -> None:
    of_class = tmp_path / "3"
    of_class.mkdir()
    original = next((SAMPLES / "Dress").iterdir())
    for index in range(90):
        (of_class / f"{index}.png").symlink_to(original)
    (of_class / "70.png").unlink()
    (of_class / "70.png").write_bytes(b"no image")
    source = open_lenet_samples(tmp_path)
    batches = stream_batches(source, range(90), 20)
    assert [len(next(batches)) for _ in range(3)] == [20, 20, 20]
    with pytest.raises(InputRefusedError, match=r"70\.png cannot be decoded"):
        next(batches)
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())


@dataclass(frozen=True)
class Counting:
    """A source that says how often it was asked to prepare samples."""

    source: SampleSource
    prepared: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.source, name)

    def load(self, pieces: Iterable[Sequence[int]]) -> Iterator[Fill]:
        kept = [list(piece) for piece in pieces]
        for piece, fill in zip(kept, self.source.load(kept), strict=True):
            yield partial(self._prepare, fill, piece)

    def _prepare(self, fill: Fill, piece: list[int], prepared: Array) -> None:
        self.prepared.extend(piece)
        fill(prepared)


def test_an_array_that_ends_early_is_refused(tmp_path: Path) -> None:
    """Whatever the archive says of its size."""
    path, stream = tmp_path / "short.npz", io.BytesIO()
    np.save(stream, np.zeros((10, 4), np.float32))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", stream.getvalue()[:-16])
        archive.infolist()[0].file_size += 16  # as the directory at the end then says
    array = open_array(path, "x")
    assert len(next(array.read_rows([range(9)]))) == 9
    with pytest.raises(InputRefusedError, match="it is cut short"):
        next(array.read_rows([range(10)]))


def test_a_tar_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("3/a.png", "3/b.png"):
            archive.add(next(SAMPLES.rglob("*.png")), name)
    source = open_lenet_samples(tmp_path / "a.tar")
    os.truncate(tmp_path / "a.tar", 600)
    with pytest.raises(InputRefusedError, match=r"b\.png is cut short"):
        source.read([1])


def test_closing_stops_the_threads() -> None:
    source = Counting(open_lenet_samples(EVALUATION))
    with closing(stream_batches(source, range(2000), 10)) as batches:
        next(batches)
    assert len(source.prepared) < 200
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())


def test_each_sample_is_prepared_once_for_all_models() -> None:
    source = Counting(open_lenet_samples(SAMPLES))
    evaluation = Evaluation(samples=source, indices=range(160), source="test")
    counts = count_classes([load_classifier(SUBJECT, "cpu", "exact")] * 3, evaluation, REQUEST, 32)
    assert sorted(source.prepared) == list(range(160))
    assert len(set(counts)) == 1


def test_counts_of_shards_add_up_to_those_of_all() -> None:
    source = open_lenet_samples(EVALUATION)
    models = [load_classifier(SUBJECT, "cpu", "exact")]

    def count(indices: Sequence[int]) -> ClassCounts:
        return count_classes(
            models, Evaluation(samples=source, indices=indices, source="shard"), REQUEST, 64
        )[0]

    whole = count(range(2000))
    assert count(range(700)) + count(range(700, 701)) + count(range(701, 2000)) == whole
    assert whole.total == (200,) * 10


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_accuracy_is_the_recall_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    predictions, classes = np.array(pairs, np.int64).T
    request = ForgetRequest(forget=(1, 3), num_classes=5)
    accuracy = compute_accuracy(count_hits(predictions, classes, 5), request)
    present = sorted(set(classes.tolist()))
    recalls = recall_score(classes, predictions, labels=present, average=None, zero_division=0)
    assert [accuracy.per_class[index] for index in present] == pytest.approx(list(recalls))
    forgotten = np.isin(classes, request.forget)
    for value, chosen in ((accuracy.acc_f, forgotten), (accuracy.acc_r, ~forgotten)):
        expected = (predictions == classes)[chosen].mean() if chosen.any() else None
        assert value == expected


def test_impossible_counts_are_refused() -> None:
    for correct, total in (((2,), (1,)), ((-1,), (1,)), ((1,), (1, 1))):
        with pytest.raises(ValueError, match="these counts are impossible"):
            ClassCounts(correct=correct, total=total)
    few, many = (ClassCounts(correct=(0,) * n, total=(0,) * n) for n in (2, 3))
    with pytest.raises(ValueError, match="argument"):
        few + many


def test_interrupt_ends_a_long_measurement(tmp_path: Path) -> None:
    path = tmp_path / "long.npz"
    np.savez_compressed(path, x=np.zeros((300_000, 28, 28), np.uint8), y=np.full(300_000, 3))
    flags = ("--forget", 3, "--data", path, "--batch-size", 20_000)
    command = make_interruptible("verify", MOBILENET, *flags)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        while "measuring" not in (line := run.stderr.readline()):
            assert line
        run.send_signal(signal.SIGINT)
        try:
            rest = run.communicate(timeout=60)[1]
        finally:
            run.kill()
    assert run.returncode == 130
    assert "Traceback" not in rest


class Binding:
    """What ONNX Runtime's I/O binding is, without a device."""

    def __init__(self) -> None:
        self.inputs: dict[str, npt.NDArray[np.float32]] = {}
        self.outputs: list[str] = []

    def bind_cpu_input(self, name: str, images: npt.NDArray[np.float32]) -> None:
        self.inputs[name] = images

    def bind_output(self, name: str) -> None:
        self.outputs.append(name)

    def copy_outputs_to_cpu(self) -> list[npt.NDArray[np.float32]]:
        return [self.inputs["x"].sum((1, 2, 3))[:, None] for _ in self.outputs]


class Device:
    """A native session on CUDA that takes only what is bound."""

    def io_binding(self) -> Binding:
        return Binding()

    def run_with_iobinding(self, binding: Binding, options: object) -> None:
        assert options is not None
        assert binding.outputs == ["logits"]


def test_cuda_takes_bound_inputs() -> None:
    session = Session(native=Device(), provider="CUDAExecutionProvider")
    images = np.random.default_rng(0).random((5, 1, 2, 2)).astype(np.float32)
    outputs = session.run("logits", images, make_input(1, 2, 2), 2)
    np.testing.assert_allclose(outputs[:, 0], images.sum((1, 2, 3)))
