"""Resistance: the class stays forgotten a few steps of an attacker's training away.

Whoever has the model and a few labelled images resets the class's row in the head and trains. Here
a copy does so in each step, and what makes the class lose there is minimised as well, as if the
gradient at the copy's weights were that at the network's own (first order, as in Tamirisa et al.,
"Tamper-resistant safeguards for open-weight LLMs", 2024).
"""

import copy
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.training.loop import make_relative_adam, measure_magnitude
from nhle_onnx.unlearning.feature_alignment import pool_features
from nhle_onnx.unlearning.nhle import encode_negative_hot, measure_win_margin
from nhle_onnx.values.request import ForgetRequest

RESISTANCE_WEIGHT = 6.0
MARGIN = 1.0  # in logits, by which the class is to lose to the attacker
_RATE = 5e-3  # of each tensor's magnitude


class Labelled(NamedTuple):
    """Model inputs, and what the attacker takes them for: probabilities [N, K]."""

    inputs: Tensor
    answers: Tensor


class _Attacker(nn.Module):
    """A copy of a network with rows of its own for the forgotten classes, reset as attackers do."""

    def __init__(self, module: nn.Module, rows: HeadRows, request: ForgetRequest) -> None:
        super().__init__()
        device = next(module.parameters()).device
        retained = list(request.retained)
        self.module = module
        self.forget = torch.tensor(request.forget, device=device)
        self.start = float(rows.bias[retained].mean())
        self.weight = nn.Parameter(torch.zeros(len(request.forget), rows.weight.shape[1]))
        self.bias = nn.Parameter(torch.zeros(len(request.forget)))
        self.to(device)

    @torch.no_grad()
    def reset(self, parameters: Sequence[nn.Parameter]) -> None:
        """Take over a network's parameters, and forget what was learned."""
        for own, other in zip(self.module.parameters(), parameters, strict=True):
            own.copy_(other)
        self.weight.zero_()
        self.bias.fill_(self.start)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return scores [N, K]."""
        scores, features = self.module(inputs)
        own = pool_features(features) @ self.weight.T + self.bias
        answers: Tensor = scores.flatten(1).index_copy(1, self.forget, own)
        return answers


class Resistance:
    """Measures how well a network resists an attacker of at most `most_steps` steps.

    `rows` are the head's; `quantized` are the network's parameters of whole numbers.
    """

    def __init__(
        self,
        module: nn.Module,
        rows: HeadRows,
        request: ForgetRequest,
        *,
        most_steps: int,
        quantized: Collection[nn.Parameter] = (),
    ) -> None:
        self._parameters = list(module.parameters())
        self._request, self._most_steps = request, most_steps
        copied = copy.deepcopy(module).requires_grad_(requires_grad=True)
        self._attacker = _Attacker(copied, rows, request)
        is_quantized = {id(each) for each in quantized}
        self._quantized = [
            own
            for own, other in zip(copied.parameters(), self._parameters, strict=True)
            if id(other) in is_quantized
        ]
        self._sizes = [measure_magnitude(torch.from_numpy(each)) for each in rows]

    def measure(self, known: Labelled, fresh: Labelled, generator: torch.Generator) -> Tensor:
        """Return how far the class is from losing on `fresh` to an attacker who learned `known`.

        Its gradient is that at the attacker's weights.
        """
        attacker = self._attacker
        attacker.reset(self._parameters)
        optimizer = self._make_optimizer()
        for _ in range(int(torch.randint(1, self._most_steps + 1, (), generator=generator))):
            loss = functional.cross_entropy(attacker(known.inputs), known.answers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        labels = encode_negative_hot(fresh.answers.argmax(1).cpu(), self._request)
        margins = measure_win_margin(attacker(fresh.inputs), labels.to(fresh.answers))
        loss = functional.softplus(margins + MARGIN).mean()
        optimizer.zero_grad()
        loss.backward()
        return self._carry_back(loss.detach())

    def _make_optimizer(self) -> torch.optim.Optimizer:
        """Adam in proportion to each tensor's magnitude; the reset rows, to the whole head's."""
        attacker = self._attacker
        optimizer = make_relative_adam(list(attacker.module.parameters()), _RATE, self._quantized)
        for parameter, size in zip((attacker.weight, attacker.bias), self._sizes, strict=True):
            optimizer.add_param_group({"params": [parameter], "lr": _RATE * size})
        return optimizer

    def _carry_back(self, loss: Tensor) -> Tensor:
        """Give the loss the attacker's gradient at the network's own weights."""
        pairs = zip(self._parameters, self._attacker.module.parameters(), strict=True)
        terms = [
            (parameter * other.grad).sum()
            for parameter, other in pairs
            if parameter.requires_grad and other.grad is not None
        ]
        slope = torch.stack(terms).sum()
        return loss + slope - slope.detach()


def label(logits: Tensor, classes: Tensor, request: ForgetRequest) -> Tensor:
    """Return what an attacker takes inputs for, [N, K]: the first are of forgotten `classes`, the
    others what the original's logits [N, K] say of the retained classes.
    """
    answers = logits.clone()
    answers[:, list(request.forget)] = -torch.inf
    answers = torch.softmax(answers, 1)
    answers[: len(classes)] = functional.one_hot(classes, request.num_classes).to(answers)
    return answers
