"""Feature alignment: forget samples become like others in directions that the head does not read.

A head of K classes reads K directions of its D features. NHLE moves the class along those; along
all others, a new head would find it as easily as before. Features here are in units of their spread
in the original network.
"""

import torch
from torch import Generator, Tensor

from nhle_onnx.values.request import ForgetRequest

_RIDGE = 0.1  # added to the variances: fewer samples than features leave the scatter singular
_FLAT = 0.1  # of the whole spread: what hardly varies is not blown up further than this


def pool_features(features: Tensor) -> Tensor:
    """Return features [N, D] as they are, and average [N, D, H, W], before a convolutional head."""
    return features.flatten(2).mean(2) if features.ndim > 2 else features  # noqa: PLR2004


def measure_spread(features: Tensor) -> Tensor:
    """Return the standard deviation of each feature over samples [N, D], forgotten and others;
    never 0, and never less than what rounding makes of features that are all the same.

    Over the others alone, a feature that only the forgotten class uses would have none, and would
    outweigh all the rest.
    """
    limits = torch.finfo(features.dtype)
    rounding = limits.eps * features.abs().amax()
    spread = features.std(0).clamp_min(_FLAT * features.std())
    return spread.clamp_min(rounding).clamp_min(limits.tiny)


def draw_examples(
    forget: Tensor, anchors: Tensor, request: ForgetRequest, generator: Generator
) -> Tensor:
    """Draw for each forget sample an anchor that shows what it may be taken for; indices [N].

    Takes the original network's logits [N, K] and [M, K]. Drawn in proportion to the chance that
    both are of the same retained class; of anchors that share none with it, any.
    """
    retained = list(request.retained)
    of_forget, of_anchors = (
        torch.softmax(logits[:, retained].cpu(), 1) for logits in (forget, anchors)
    )
    chances = (of_forget @ of_anchors.T).clamp_min(torch.finfo(of_forget.dtype).tiny)
    return torch.multinomial(chances, 1, generator=generator)[:, 0]


def imitation_loss(features: Tensor, examples: Tensor) -> Tensor:
    """Return the mean squared distance of features [N, D] to those of the anchors drawn."""
    return (features - examples).square().mean()


def measure_separation(features: Tensor, classes: Tensor, anchors: Tensor) -> Tensor:
    """Return Fisher's criterion of each class [F]: how far apart the best linear probe could put
    its mean and the anchors' mean, in units of the scatter within both.

    Features [N, D] of samples of `classes` [N], and [M, D] of anchors.
    """
    # in double precision: what is left of a difference of large sums is the result
    features, anchors = features.double(), anchors.double()
    groups = [features[classes == index] for index in classes.unique()]
    centred = torch.cat([group - group.mean(0) for group in (*groups, anchors)]).detach()
    gaps = torch.stack([group.mean(0) - anchors.mean(0) for group in groups])
    return (gaps * _solve_scatter(centred, gaps)).sum(1).clamp_min(0)


def separation_loss(features: Tensor, classes: Tensor, anchors: Tensor) -> Tensor:
    """Return the mean log(1 + separation): the logarithm, as one network's classes stand ten times
    as far apart as another's.
    """
    return measure_separation(features, classes, anchors).log1p().mean()


def _solve_scatter(centred: Tensor, gaps: Tensor) -> Tensor:
    """(XᵀX / n + ridge I)⁻¹ applied to each of `gaps` [F, D], for X [n, D]."""
    count, width = centred.shape
    if width <= count:
        scatter = centred.T @ centred / count + _RIDGE * torch.eye(width).to(centred)
        solved: Tensor = torch.linalg.solve(scatter, gaps.T)
        return solved.T
    # the same by way of XXᵀ, which is n x n: a VGG has 4096 features
    inner = centred @ centred.T + _RIDGE * count * torch.eye(count).to(centred)
    along: Tensor = torch.linalg.solve(inner, centred @ gaps.T)
    return (gaps - (centred.T @ along).T) / _RIDGE
