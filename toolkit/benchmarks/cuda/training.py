"""Training on the card, compared with the CPU: verdicts, forms of the network, speed, memory."""

import copy
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

import architectures
from architectures.examples import EXAMPLES, export_example, make_example, make_images
from architectures.vit import VisionTransformer
from benchmarks.cuda.inference import MODELS, QUANTIZED, SAMPLES
from benchmarks.cuda.place import Place, fail, judge, tell, time_repeated
from benchmarks.speed.cost import measure_step_memory
from benchmarks.speed.subjects import LARGE, VGG, Network, build_network, export_network
from nhle_onnx.api.commands import unlearn
from nhle_onnx.errors import first_line
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import lower_model
from nhle_onnx.training.device import open_device
from nhle_onnx.values.places import Device
from nhle_onnx.values.report import UnlearnReport
from studies.results import ROOT
from studies.tables import Row

_FORGET = 3
_MIB = 2**20
_BATCH = 32
_VIT = partial(VisionTransformer, image_size=224, patch_size=16, dim=768, depth=12, heads=12)
_STEP_LIMIT = 1.0  # relative to the original module's step
_MEMORY_LIMIT = 4.0  # relative to weights and activations; cuDNN's working memory counts
_CLOSE = 1e-2  # the gradient of a wrong operator is much farther off
_LARGEST, _WIDTH = 12, 90  # kernels listed, and characters of their names
_FLOOR = 1e-3  # of the network's largest gradient: smaller ones are noise


def compare_verdicts(place: Place) -> Iterator[Row]:
    """Forget a class on the card and on the CPU, and compare verdicts and figures."""
    steps = 2 if place.is_dry else None
    with tempfile.TemporaryDirectory() as folder:
        for name in (*MODELS, QUANTIZED)[: place.choose(3, 1)]:
            forget = partial(_unlearn, name, steps, Path(folder))
            ours = forget(place.name)
            again = forget(place.name) if name == MODELS[0] and not place.is_dry else ours
            on_cpu = forget("cpu")
            yield judge(f"{name}: same verdict", int(ours.verdict == on_cpu.verdict), "=", 1)
            yield from _compare_reports(name, ours, on_cpu)
            if again is not ours:
                same = ours.edited.sha256 == again.edited.sha256
                yield judge(f"{name}: the same file again", int(same), "=", 1)


def compare_forms(place: Place) -> Iterator[Row]:
    """Take gradients through each network's lowered form on the card and on the CPU, in float64:
    in float32, rounding moves a ReLU's input across 0 here and there, which is no fault.
    """
    open_device(place.name, seed=0)
    names = list(EXAMPLES)[: place.choose(len(EXAMPLES), 1)]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder) / f"{name}.onnx"
            images = make_images(name, 4)
            export_example(make_example(name), images, "legacy-17", path)
            module = lower_model(load_model(path), source="image", output="logits").module
            try:
                apart = _compare_gradients(module.double(), images.double(), place)
            except RuntimeError as error:
                yield fail(name, first_line(error))
                continue
            yield judge(f"{name}: largest difference of a gradient", apart, "≤", _CLOSE)


def time_steps(place: Place) -> Iterator[Row]:
    """Time a step of the lowered module and of the original, in turn, on the same batch."""
    device = open_device(place.name, seed=0)
    builders: dict[str, tuple[Callable[[], nn.Module], int]] = {
        "MobileNetV3-Large, 224x224": (architectures.mobilenet_v3_large, 224),
        "VGG16, 32x32": (architectures.VGG16, 32),
        "ViT-B/16, 224x224": (_VIT, 224),
    }
    if place.is_dry:
        builders = {"MLP, 28x28": (architectures.MLP, 28)}
    with tempfile.TemporaryDirectory() as folder:
        for name, (build, side) in builders.items():
            torch.manual_seed(0)
            original = build().eval()
            channels = 1 if place.is_dry else 3
            images = torch.randn(place.choose(_BATCH, 2), channels, side, side)
            path = Path(folder) / "model.onnx"
            export_example(original, images[:2], "legacy-17", path)
            lowered = lower_model(load_model(path), source="image", output="logits").module
            yield from _time_pair(name, original, lowered, images, device, place)


def measure_memory(place: Place) -> Iterator[Row]:
    """Measure the peak of the card's memory in `unlearn`, relative to weights and activations. It
    includes the working memory of cuDNN, which it takes where memory is free: in VGG16, 869 MiB at
    once.
    """
    networks = (LARGE, VGG)[: place.choose(2, 0)]
    with tempfile.TemporaryDirectory() as folder:
        for network in networks:
            yield from _measure_peak(network, Path(folder) / network.constructor)
    if place.is_dry:
        yield tell("memory of the card", "none in a dry run")


def profile_steps(place: Place) -> Iterator[Row]:
    """List what `unlearn` of MobileNetV3-Small spends the device's time on: its largest kernels."""
    steps = place.choose(20, 1)
    kind = ProfilerActivity.CPU if place.is_dry else ProfilerActivity.CUDA
    with tempfile.TemporaryDirectory() as folder, profile(activities=[kind]) as found:
        report = _unlearn(MODELS[place.choose(1, 0)], steps, Path(folder), place.name)
    kernels = found.key_averages()
    spent = {each.key: each.self_device_time_total or each.self_cpu_time_total for each in kernels}
    yield tell("ms a step, with all before the first", 1e3 * report.elapsed_s["train"] / steps)
    yield tell("ms a step, of the device", sum(spent.values()) / 1e3 / steps)
    for name in sorted(spent, key=spent.__getitem__, reverse=True)[:_LARGEST]:
        yield tell(f"`{name[:_WIDTH]}`, ms a step", spent[name] / 1e3 / steps)


def _unlearn(name: str, steps: int | None, folder: Path, place: Device) -> UnlearnReport:
    report = unlearn(
        ROOT / "models" / name / "model.onnx",
        forget=_FORGET, samples=SAMPLES, steps=steps, device=place,
        provider="cpu" if place == "cpu" else "cuda",
        out=folder / f"{place}.onnx", force=True,
    )  # fmt: skip
    return cast("UnlearnReport", report)  # of a classifier


def _compare_reports(name: str, ours: UnlearnReport, on_cpu: UnlearnReport) -> Iterator[Row]:
    yield tell(f"{name}: verdict", ours.verdict)
    yield judge(f"{name}: Acc_F", ours.after.acc_f or 0.0, "≤", 0.01)
    apart = abs((ours.after.acc_r or 0.0) - (on_cpu.after.acc_r or 0.0))
    yield judge(f"{name}: difference of Acc_R", apart, "≤", 0.02)
    pairs = {"card": ours, "CPU": on_cpu}
    for where, report in pairs.items():
        steps, seconds = report.method["steps_run"], report.elapsed_s["train"]
        yield tell(f"{name}: steps on the {where}", steps)
        yield tell(f"{name}: ms a step on the {where}", 1e3 * seconds / steps)
        yield tell(f"{name}: whole run on the {where}, s", sum(report.elapsed_s.values()))


def _compare_gradients(module: nn.Module, images: Tensor, place: Place) -> float:
    """Return the largest difference of a gradient, relative to the largest of its tensor."""
    on_cpu = _find_gradients(module, images)
    ours = _find_gradients(copy.deepcopy(module).to(place.name), images.to(place.name))
    least = _FLOOR * max(float(each.abs().max()) for each in on_cpu)
    return max(
        float((one - other).abs().max() / one.abs().max().clamp(min=least))
        for one, other in zip(on_cpu, ours, strict=True)
    )


def _find_gradients(module: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the gradient of every parameter that has one, on the CPU."""
    labels = torch.arange(len(images), device=images.device) % 10
    loss = functional.cross_entropy(module(images), labels)
    parameters = [item for item in module.parameters() if item.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [each.cpu() for each in gradients if each is not None]


def _time_pair(
    name: str,
    original: nn.Module,
    lowered: nn.Module,
    images: Tensor,
    device: torch.device,
    place: Place,
) -> Iterator[Row]:
    works = {
        kind: _make_step(module.to(device), images.to(device))
        for kind, module in (("original", original), ("lowered", lowered))
    }
    rounds = place.choose(5, 1)
    seconds: dict[str, list[float]] = {kind: [] for kind in works}
    for _ in range(rounds):
        for kind, work in works.items():
            seconds[kind].append(time_repeated(work, place.choose(10, 1)))
    pairs = sorted(
        ours / theirs for ours, theirs in zip(seconds["lowered"], seconds["original"], strict=True)
    )
    for kind, times in seconds.items():
        yield tell(f"{name}: ms a step, {kind}", 1e3 * sorted(times)[rounds // 2])
    yield judge(f"{name}: a step, relative to the original's", pairs[rounds // 2], "≤", _STEP_LIMIT)


def _make_step(module: nn.Module, images: Tensor) -> Callable[[], None]:
    labels = torch.arange(len(images), device=images.device) % 10
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-6)

    def step() -> None:
        loss = functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _measure_peak(network: Network, folder: Path) -> Iterator[Row]:
    path = export_network(network, folder)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    settings: dict[str, Any] = {"samples": SAMPLES, "device": "cuda", "provider": "cpu"}
    report = unlearn(
        path, forget=_FORGET, steps=5, out=folder / "new.onnx", force_unknown=True, **settings
    )
    peak = (torch.cuda.max_memory_allocated() - before) / _MIB
    batch = report.samples.forget + report.samples.anchors
    images = torch.randn(batch, 3, network.side, network.side)
    needed = measure_step_memory(build_network(network), images)
    yield tell(f"{network.title}: peak, MiB", peak)
    yield tell(f"{network.title}: weights and activations, MiB", needed)
    yield judge(f"{network.title}: peak, relative to these", peak / needed, "≤", _MEMORY_LIMIT)
