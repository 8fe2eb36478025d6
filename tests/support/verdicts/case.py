"""A request whose verdict is known, and the files that it is made of."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from support.shipped import EVALUATION, LENET, copy_sidecars

FORGOTTEN, OTHER = 3, 5
HIDDEN, LOGITS = "/features/features.10/Relu_output_0", "logits"
WEIGHT, BIAS = "classifier.weight", "classifier.bias"
PASSED, FAILED, REFUSED, UNSUPPORTED, NOT_JUDGED = 0, 1, 3, 4, 6

Change = Callable[[GraphProto], None]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes the files of a case. `forgot` is LeNet-5 after it forgot class 3, `masked` after it was
    masked only.
    """

    folder: Path
    forgot: Path
    masked: Path

    def write_samples(
        self,
        counts: int | Mapping[int, int] = 200,
        *,
        copies: Mapping[int, int] | None = None,
        shift: int = 0,
        relabel: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> Path:
        """So many evaluation images of each class, or of those named; of `copies`, the first image
        again and again. Labels may be wrong.
        """
        with np.load(EVALUATION) as archive:
            images, classes = archive["x"], archive["y"]
        wanted = counts if isinstance(counts, Mapping) else dict.fromkeys(range(10), counts)
        chosen = [np.flatnonzero(classes == index)[:count] for index, count in wanted.items()]
        chosen += [
            np.repeat(np.flatnonzero(classes == index)[:1], count)
            for index, count in (copies or {}).items()
        ]
        places = np.concatenate(chosen)
        labels = (classes[places] + shift) % 10
        path = self.folder / "judge.npz"
        np.savez(path, x=images[places], y=relabel(labels) if relabel else labels)
        return path

    def edit(self, change: Change, base: Path = LENET, name: str = "edited") -> Path:
        """A changed copy of a model, with its sidecars, in a folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        copy_sidecars(folder)
        model = onnx.load(base)
        change(model.graph)
        for domain in {node.domain for node in model.graph.node} - {""}:
            model.opset_import.append(helper.make_opsetid(domain, 1))
        path = folder / "model.onnx"
        onnx.save(model, path)
        return path

    def save(self, model: ModelProto, name: str = "made") -> Path:
        """Another model, with LeNet-5's sidecars."""
        folder = self.folder / name
        folder.mkdir()
        copy_sidecars(folder)
        path = folder / "model.onnx"
        onnx.save(model, path)
        return path

    def put_alone(self, model: Path, name: str = "elsewhere") -> Path:
        """A copy of a model's file alone, far from all that lies beside it."""
        folder = self.folder / name
        folder.mkdir()
        return Path(shutil.copy(model, folder / "alone.onnx"))


Make = Callable[[Workshop], Sequence[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A command, and the exit code that it must end with; `says` stands in what it prints.

    `was` is the wrong answer that the first edition gave, where it gave one.
    """

    name: str
    make: Make
    code: int
    says: str = ""
    was: str = ""


def verify(model: Path, data: Path, *flags: object, forget: object = FORGOTTEN) -> list[object]:
    """The arguments of `verify`, against LeNet-5."""
    return ["verify", model, "--baseline", LENET, "--forget", forget, "--data", data, *flags]


def verify_alone(
    model: Path, data: Path, *flags: object, forget: object = FORGOTTEN
) -> list[object]:
    """The arguments of `verify`, with nothing to compare with."""
    return ["verify", model, "--forget", forget, "--data", data, *flags]


def mask(workshop: Workshop, model: Path, *flags: object) -> list[object]:
    """The arguments of `unlearn --method cwm`."""
    out = workshop.folder / "out.onnx"
    chosen = ("--forget", FORGOTTEN, "--method", "cwm")
    return ["unlearn", model, *chosen, "--out", out, *flags]


def get_tensor(graph: GraphProto, name: str) -> np.ndarray:
    """A weight's values."""
    tensor = next(each for each in graph.initializer if each.name == name)
    return numpy_helper.to_array(tensor).copy()


def set_tensor(graph: GraphProto, name: str, values: np.ndarray) -> None:
    """Give a weight other values, or add one."""
    new = numpy_helper.from_array(np.asarray(values, order="C"), name)
    for each in graph.initializer:
        if each.name == name:
            each.CopyFrom(new)
            return
    graph.initializer.append(new)


def rename_logits(graph: GraphProto, name: str = "scores") -> None:
    """Give the head's scores another name, so that what comes next gives the output."""
    for node in graph.node:
        for index, output in enumerate(node.output):
            if output == LOGITS:
                node.output[index] = name


@contextmanager
def before_head(graph: GraphProto, features: str) -> Iterator[None]:
    """Put the nodes that are appended meanwhile before the head, which then reads `features`."""
    head = graph.node.pop()
    yield
    head.input[0] = features
    graph.node.append(head)


def append(graph: GraphProto, *nodes: NodeProto) -> None:
    """Add nodes at the end."""
    graph.node.extend(nodes)


def add_output(graph: GraphProto, name: str, kind: int, shape: Sequence[str | int]) -> None:
    """Declare another output."""
    graph.output.append(helper.make_tensor_value_info(name, kind, shape))
