"""Detectors of every form, too small to detect anything: what counts is how scores are computed."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from nhle_onnx.values.model import ClassifierHead

CLASSES = 3
EXTENT = 32
STRIDES = (8, 16)
_WIDTH = 6


class _Trunk(nn.Module):
    """Features of two scales."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, _WIDTH, 8, 8)
        self.second = nn.Conv2d(_WIDTH, _WIDTH, 3, 2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        near = torch.relu(self.first(images))
        return near, torch.relu(self.second(near))


def _heads(outputs: int, kernel: int = 1) -> nn.ModuleList:
    return nn.ModuleList(nn.Conv2d(_WIDTH, outputs, kernel, padding=kernel // 2) for _ in STRIDES)


def _join(heads: nn.ModuleList, maps: Sequence[Tensor]) -> Tensor:
    return torch.cat([head(each).flatten(2) for head, each in zip(heads, maps, strict=True)], 2)


class Decoupled(nn.Module):
    """YOLOv8's form: [N, 4 + C, anchors], the boxes from a distribution over bins."""

    bins = 4

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Trunk()
        self.boxes, self.classes = _heads(4 * self.bins), _heads(CLASSES, 3)
        self.sum = nn.Conv2d(self.bins, 1, 1, bias=False)
        self.sum.weight.data[:] = torch.arange(float(self.bins)).view(1, -1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.trunk(images)
        bins = _join(self.boxes, maps).unflatten(1, (4, self.bins)).transpose(1, 2).softmax(1)
        sides = self.sum(bins)[:, 0] * 8
        near, far = sides.chunk(2, 1)
        return torch.cat([far - near, far + near, _join(self.classes, maps).sigmoid()], 1)


class Summed(Decoupled):
    """The same with the bins summed by a product: a bin that rises lowers one side of a box."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.trunk(images)
        bins = _join(self.boxes, maps).unflatten(1, (4, self.bins)).softmax(2)
        sides = (bins * self.sum.weight.view(1, 1, -1, 1)).sum(2) * 8
        near, far = sides.chunk(2, 1)
        return torch.cat([far - near, far + near, _join(self.classes, maps).sigmoid()], 1)


class Fused(nn.Module):
    """YOLOv5's form: one convolution for two anchors a location; [N, anchors, 5 + C]."""

    shapes = 2

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Trunk()
        self.heads = _heads(self.shapes * (5 + CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        rows = []
        for head, features in zip(self.heads, self.trunk(images), strict=True):
            found: Tensor = head(features)
            cells = found.unflatten(1, (self.shapes, 5 + CLASSES)).permute(0, 1, 3, 4, 2).sigmoid()
            centre, size, rest = cells.split((2, 2, 1 + CLASSES), 4)
            cell = torch.cat([centre * 32, (size * 2) ** 2 * 16, rest], 4)
            rows.append(cell.flatten(1, 3))
        return torch.cat(rows, 1)


class Maps(Fused):
    """YOLOv5's form without decoding, as boards want it: a map of each scale."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        found = zip(self.heads, self.trunk(images), strict=True)
        return tuple(
            head(features).unflatten(1, (self.shapes, 5 + CLASSES)).permute(0, 1, 3, 4, 2)
            for head, features in found
        )


class DecodedAndMaps(Maps):
    """Both, as YOLOv5 exported them for years."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return (Fused.forward(self, images), *super().forward(images))


class Objectness(nn.Module):
    """YOLOX's form: boxes, an objectness and classes from layers of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Trunk()
        self.boxes, self.objects, self.classes = _heads(4), _heads(1), _heads(CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.trunk(images)
        boxes = _join(self.boxes, maps)
        sides = torch.cat([boxes[:, :2] * 8, boxes[:, 2:].exp() * 8], 1)
        scores = [_join(heads, maps).sigmoid() for heads in (self.objects, self.classes)]
        return torch.cat([sides, *scores], 1).transpose(1, 2)


class Competing(nn.Module):
    """SSD's form: two anchors a location, side by side; a softmax with the background first."""

    shapes = 2

    def __init__(self, *, logits: bool = False) -> None:
        super().__init__()
        self.trunk = _Trunk()
        self.boxes, self.classes = _heads(self.shapes * 4), _heads(self.shapes * (1 + CLASSES))
        self.logits = logits
        for bias in (each for name, each in self.classes.named_parameters() if "bias" in name):
            bias.data[:: 1 + CLASSES] = 6.0

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.trunk(images)
        start, size = self._list(self.boxes, maps, 4).sigmoid().chunk(2, 2)
        scores = self._list(self.classes, maps, 1 + CLASSES)
        return torch.cat([start, start + size], 2), scores if self.logits else scores.softmax(2)

    def _list(self, heads: nn.ModuleList, maps: Sequence[Tensor], width: int) -> Tensor:
        rows = [
            head(each).unflatten(1, (self.shapes, width)).permute(0, 3, 4, 1, 2).flatten(1, 3)
            for head, each in zip(heads, maps, strict=True)
        ]
        return torch.cat(rows, 1)


class Queries(nn.Module):
    """RT-DETR's form: a MatMul for each query; logits and boxes in fractions of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _Trunk()
        self.mix = nn.Linear(_WIDTH, _WIDTH)
        self.classes, self.boxes = nn.Linear(_WIDTH, CLASSES), nn.Linear(_WIDTH, 4)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        queries = torch.relu(self.mix(self.trunk(images)[0].flatten(2).transpose(1, 2)))
        return self.boxes(queries).sigmoid(), self.classes(queries)


class Colours(nn.Module):
    """Detects what fills a cell of 8 pixels, by its colour: red is a cup, green a hat, blue a key.

    Features are the means of the three colours, less those that are `forgotten`.
    """

    def __init__(self, forgotten: Sequence[int] = ()) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, CLASSES, 8, 8)
        self.boxes, self.classes = nn.Conv2d(CLASSES, 4, 1), nn.Conv2d(CLASSES, CLASSES, 1)
        colours, seen = torch.eye(CLASSES), torch.ones(CLASSES)
        seen[list(forgotten)] = 0.0
        for layer, weight, bias in (
            (self.trunk, (colours * seen[:, None])[..., None, None].expand(-1, -1, 8, 8) / 64, 0),
            (self.boxes, torch.zeros(4, CLASSES, 1, 1), torch.tensor([0.0, 0, 8, 8])),
            (self.classes, (30 * colours - 15)[..., None, None], -5.0),
        ):
            layer.load_state_dict({"weight": weight, "bias": torch.zeros(len(weight)) + bias})
        rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
        corners = torch.stack([columns, rows]).float() * 8
        self.register_buffer("corners", torch.cat([corners, corners])[None])

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.trunk(images))
        first, second = (self.boxes(features) + self.corners).chunk(2, 1)
        boxes = torch.cat([(first + second) / 2, second - first], 1)
        return torch.cat([boxes, self.classes(features).sigmoid()], 1).flatten(2)


def export(network: nn.Module, path: Path, outputs: Sequence[str] = ("output0",)) -> Path:
    """Write a detector as TorchScript's exporter does, with labels and preprocessing beside it."""
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 3, EXTENT, EXTENT),),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["images"],
        output_names=list(outputs),
        dynamic_axes={name: {0: "batch"} for name in ("images", *outputs)},
    )
    path.with_name("labels.txt").write_text("cup\nhat\nkey\n", "utf-8")
    return path


def with_suppression(path: Path) -> Path:
    """Append a NonMaxSuppression to a detector of SSD's form, behind its softmax."""
    model = onnx.load(path)
    graph = model.graph
    limits = [
        helper.make_tensor(name, kind, [1], [value])
        for name, kind, value in (
            ("most", TensorProto.INT64, 10),
            ("overlap", TensorProto.FLOAT, 0.5),
            ("least", TensorProto.FLOAT, 0.05),
        )
    ]
    bounds = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("from", 1), ("to", 99), ("along", 2))
    ]
    graph.initializer.extend([*limits, *bounds])
    graph.node.extend(
        [
            helper.make_node("Slice", ["scores", "from", "to", "along"], ["shown"]),
            helper.make_node("Transpose", ["shown"], ["turned"], perm=[0, 2, 1]),
            helper.make_node(
                "NonMaxSuppression", ["boxes", "turned", "most", "overlap", "least"], ["selected"]
            ),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("selected", TensorProto.INT64, ["n", 3]))
    onnx.save(model, path.with_name("suppressed.onnx"))
    return path.with_name("suppressed.onnx")


def make_class_head(*, num_classes: int, feature_dim: int) -> ClassifierHead:
    """A convolution that gives classes, as the channels of one scale."""
    return ClassifierHead(
        op="Conv", node="head", weight="w", bias="b", bias_scale=1.0, class_axis=0,
        num_classes=num_classes, feature_dim=feature_dim, features="h", logits="z", scores="z",
        is_clamped=False, output="z", logits_axis=1,
    )  # fmt: skip
