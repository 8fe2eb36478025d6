"""Every kind of head, on one trained network, as torch's exporter writes it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

import nhle_onnx
from architectures import LeNet5
from architectures.examples import export_example, make_example, make_images
from support.graphs import run_model
from support.runs import Nhle, unlearn
from support.shipped import EVALUATION, LENET, SAMPLES, copy_sidecars

GIVEN = ("--forget", "3", "--samples", str(SAMPLES), "--data", str(EVALUATION))
FLAGS = (*GIVEN, "--steps", "100", "--samples-per-class", "8")  # enough here
Head = Callable[[nn.Linear, Tensor], Tensor | tuple[Tensor, ...]]


class Headed(nn.Module):
    """The shipped LeNet-5 with another way to its scores."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        network = LeNet5()
        weights = {
            tensor.name: torch.tensor(numpy_helper.to_array(tensor))
            for tensor in onnx.load(LENET).graph.initializer
        }
        network.load_state_dict(weights)
        self.features, self.classifier, self.head = network.features, network.classifier, head
        self.matrix = nn.Parameter(network.classifier.weight.detach().T.contiguous())
        self.shift = nn.Parameter(network.classifier.bias.detach().clone())
        self.conv = nn.Conv2d(84, 10, 1)
        self.conv.weight.data = network.classifier.weight.detach()[:, :, None, None].clone()
        self.conv.bias.data = network.classifier.bias.detach().clone()
        self.eval()

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.head(self, self.features(images))


def decompose_softmax(net: Headed, h: Tensor) -> Tensor:
    z = net.classifier(h)
    e = torch.exp(z - torch.amax(z, 1, keepdim=True))
    return e / torch.sum(e, 1, keepdim=True)


def widen(h: Tensor) -> Tensor:
    """Features on a 2 x 2 map, so that a convolution has somewhere to go."""
    return h[:, :, None, None].repeat(1, 1, 2, 2)


HEADS: dict[str, Head] = {
    "softmax": lambda net, h: torch.softmax(net.classifier(h), 1),
    "log-softmax": lambda net, h: torch.log_softmax(net.classifier(h), 1),
    "sigmoid": lambda net, h: torch.sigmoid(net.classifier(h)),
    "decomposed-softmax": decompose_softmax,
    "cast": lambda net, h: net.classifier(h).double(),
    "reshape": lambda net, h: net.classifier(h).reshape(-1, 10, 1, 1),
    "matmul-add": lambda net, h: torch.matmul(h, net.matrix) + net.shift,
    "add-matmul": lambda net, h: net.shift + torch.matmul(h, net.matrix),
    "matmul-add-softmax": lambda net, h: torch.softmax(torch.matmul(h, net.matrix) + net.shift, 1),
    "matmul": lambda net, h: torch.matmul(h, net.matrix),
    "conv-flatten": lambda net, h: net.conv(h[:, :, None, None]).flatten(1),
    "conv-pool": lambda net, h: net.conv(widen(h)).mean((2, 3)),
    "conv-global-pool-softmax": lambda net, h: torch.softmax(
        nn.functional.adaptive_avg_pool2d(net.conv(widen(h)), 1).flatten(1), 1
    ),
    "conv-relu-pool": lambda net, h: torch.relu(net.conv(widen(h))).mean((2, 3)),
    "a class masked by -inf": lambda net, h: net.classifier(h).masked_fill(
        torch.arange(10) == 7, -torch.inf
    ),
    "relu": lambda net, h: torch.relu(net.classifier(h)),
    "argmax-beside": lambda net, h: (net.classifier(h), net.classifier(h).argmax(1)),
    "topk-beside": lambda net, h: (net.classifier(h), *torch.topk(net.classifier(h), 3)),
    "probabilities-beside": lambda net, h: (
        (z := net.classifier(h)),
        torch.softmax(z, 1),
    ),
}


def export(head: Head, folder: Path, opset: int = 17) -> Path:
    """Export beside the sidecars of the shipped model."""
    copy_sidecars(folder)
    network, image = Headed(head), torch.zeros(2, 1, 28, 28)
    result = network(image)
    names = [f"out{index}" for index in range(len(result) if isinstance(result, tuple) else 1)]
    path = folder / "model.onnx"
    torch.onnx.export(
        network, (image,), path, dynamo=False, opset_version=opset, input_names=["image"],
        output_names=names,
        dynamic_axes={name: {0: "batch"} for name in ("image", *names)},
    )  # fmt: skip
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HEADS)
def test_head_forgets(name: str, tmp_path: Path) -> None:
    path = export(HEADS[name], tmp_path)
    unlearned = unlearn(path, tmp_path / "edited.onnx", *FLAGS)
    report = unlearned.report
    assert report["passed"], report["checks"]
    assert report["before"]["acc_f"] > 0.8
    assert report["after"]["acc_f"] == 0.0
    assert report["unmasked"]["acc_f"] <= 0.05
    assert report["delta_acc_r"] >= -0.02
    onnx.checker.check_model(unlearned.edited, full_check=True)
    before, after = (
        [node.name for node in onnx.load(file).graph.node] for file in (path, unlearned.edited)
    )
    assert [node for node in after if node in before] == before
    assert len(after) == len(before) + (name == "matmul")  # the Add that holds its floor


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["matmul", "conv-pool", "matmul-add"])
def test_masking_alone_is_unmasked_whatever_the_head(name: str, tmp_path: Path) -> None:
    """An added bias must not outlive the unmasking that it is measured by."""
    path = export(HEADS[name], tmp_path)
    report = unlearn(path, tmp_path / "edited.onnx", *GIVEN, "--method", "cwm").report
    assert report["after"]["acc_f"] == 0.0
    assert report["unmasked"]["acc_f"] == report["before"]["acc_f"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["relu", "conv-relu-pool"])
def test_a_clamp_that_lets_the_class_win_is_refused(name: str, tmp_path: Path, nhle: Nhle) -> None:
    """Class 0 would win whenever all scores are 0, as argmax takes the first."""
    path = export(HEADS[name], tmp_path)
    result = nhle("unlearn", path, "--forget", 0, "--samples", SAMPLES)
    assert result.code == 4
    assert "class 0 wins whenever all scores are" in result.err
    assert "--method nhle" in result.err
    allowed = nhle("unlearn", path, "--forget", 3, "--samples", SAMPLES, "--steps", 1, "--json")
    assert "loses even a tie" in " ".join(json.loads(allowed.out)["notes"])


@pytest.mark.filterwarnings("ignore")
def test_several_heads_are_chosen_by_name(tmp_path: Path, nhle: Nhle) -> None:
    """A main and an auxiliary head: the user says which, and hears of the other."""
    path = export(
        lambda net, h: (net.classifier(h), torch.matmul(h, net.matrix) + net.shift), tmp_path
    )
    arguments = ("unlearn", path, "--forget", 3, "--samples", SAMPLES, "--steps", 1)
    undecided = nhle(*arguments)
    assert undecided.code == 2
    assert "out0, out1" in undecided.err
    assert "--graph-output" in undecided.err
    report = json.loads(nhle(*arguments, "--graph-output", "out1", "--json").out)
    assert report["model"]["head"]["op"] == "MatMul"
    assert report["after"]["acc_f"] == 0.0
    assert "output out0 has a head of its own" in report["notes"][0]
    assert nhle(*arguments, "--graph-output", "out7").code == 2


@pytest.mark.filterwarnings("ignore")
def test_the_old_name_of_a_flag_still_works(tmp_path: Path, nhle: Nhle) -> None:
    """On the command line, in a configuration file, and as a keyword: with a note."""
    path = export(lambda net, h: (net.classifier(h), net.classifier(h).argmax(1)), tmp_path)
    for flag in (("--output", "out0"), ("--output=out0",)):
        shown = nhle("inspect", path, *flag)
        assert (shown.code, shown.err) == (0, "note: --output is now called --graph-output\n")
    (tmp_path / "c.toml").write_text('output = "out9"\n')
    assert "has no output out9" in nhle("inspect", path, "--config", tmp_path / "c.toml").out
    with pytest.warns(DeprecationWarning, match="output is now called graph_output"):
        assert nhle_onnx.inspect(path, output="out0").head is not None  # type: ignore[call-arg]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["argmax", "topk"])
def test_an_output_that_is_the_best_class_alone_is_kept(
    name: str, tmp_path: Path, nhle: Nhle
) -> None:
    """What it is chosen from is judged, and so is the output, which names no class that is gone."""
    heads: dict[str, Head] = {
        "argmax": lambda net, h: net.classifier(h).argmax(1),
        "topk": lambda net, h: torch.topk(torch.softmax(net.classifier(h), 1), 2)[1],
    }
    path = export(heads[name], tmp_path)
    unlearned = unlearn(path, tmp_path / "edited.onnx", *GIVEN, "--method", "cwm")
    report = unlearned.report
    assert report["after"]["acc_f"] == 0.0
    assert {"output out0.acc_f"} <= {check["name"] for check in report["checks"]}
    before, after = (onnx.load(each) for each in (path, unlearned.edited))
    assert before.graph.output == after.graph.output
    found = nhle("inspect", path, "--json")
    scores = json.loads(found.out)["head"]["output"]
    named = nhle("inspect", path, "--graph-output", scores, "--json")
    assert json.loads(named.out)["head"] == json.loads(found.out)["head"]
    refused = nhle(
        "kit", unlearned.edited, "--forget", 3, "--data", EVALUATION, "--out", tmp_path / "k.zip"
    )
    assert refused.code == 4
    assert "shows no scores" in refused.err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("trans_b", "alpha", "beta"), [(0, 1.0, 1.0), (0, 0.5, 2.0), (1, 2.0, -4.0)]
)
def test_a_gemm_of_any_attributes_forgets(
    trans_b: int, alpha: float, beta: float, tmp_path: Path
) -> None:
    """The same function written with other attributes forgets in the same way."""
    path = export(lambda net, h: net.classifier(h), tmp_path)
    model = onnx.load(path)
    node = model.graph.node[-1]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weight, bias = (numpy_helper.to_array(tensors[name]) for name in node.input[1:])
    stored = weight / alpha if trans_b else np.ascontiguousarray(weight.T) / alpha
    tensors[node.input[1]].CopyFrom(numpy_helper.from_array(stored, node.input[1]))
    tensors[node.input[2]].CopyFrom(numpy_helper.from_array(bias / beta, node.input[2]))
    del node.attribute[:]
    for key, value in (("transB", trans_b), ("alpha", alpha), ("beta", beta)):
        node.attribute.append(onnx.helper.make_attribute(key, value))
    onnx.save(model, path)
    unlearned = unlearn(path, tmp_path / "edited.onnx", *FLAGS)
    assert unlearned.report["passed"], unlearned.report["checks"]
    logits = run_model(unlearned.edited, np.zeros((1, 1, 28, 28), np.float32))[0]
    assert np.isfinite(logits).all()
    assert logits[0].argmin() == 3 or logits[0, 3] < logits[0].max() - 9.9


@pytest.mark.filterwarnings("ignore")
def test_the_auxiliary_head_of_inception_is_left_alone(tmp_path: Path, nhle: Nhle) -> None:
    """Trained weights would take hours, so forgetting is not asked of it, only a whole edit."""
    path = tmp_path / "model.onnx"
    name = "inceptionv3-2-outputs"
    export_example(make_example(name), make_images(name, 2), "legacy-17", path)
    data = tmp_path / "images.npz"
    with np.load(EVALUATION) as archive:
        np.savez(data, x=np.repeat(archive["x"][:20, :75, :75, None], 3, -1), y=archive["y"][:20])
    arguments = ["unlearn", path, "--forget", 3, "--samples", data, "--data", data]
    arguments += ["--mean", "0.5", "--std", "0.5", "--steps", 1, "--json", "--force-unknown"]
    refused = nhle(*arguments)
    assert refused.code == 2
    assert "logits, auxiliary" in refused.err
    result = nhle(*arguments, "--graph-output", "logits")
    report = json.loads(result.out)
    assert result.code in {0, 1, 6}
    assert "output auxiliary has a head of its own" in " ".join(report["notes"])
    assert len(report["changed_tensors"]) > 100
    assert not any("auxiliary" in name for name in report["changed_tensors"])
