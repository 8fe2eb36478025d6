"""Which views of an image are its own is for the network to say."""

import pytest
import torch
from torch import Tensor, nn

from nhle_onnx.unlearning.probing import Probe, probe


class Position(nn.Module):
    """One score for each group of columns: which of them holds the bright pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        columns = images.amax((1, 2))
        scores = columns.unflatten(1, (-1, self.width)).amax(2)
        return scores, scores


def run(width: int, size: int = 48) -> Probe:
    images = torch.zeros(400, 1, size, size)
    images[:, :, :, size // 2 + min(width, size) // 4] = 1.0
    generator = torch.Generator().manual_seed(0)
    return probe(Position(width), images, "NCHW", torch.device("cpu"), generator)


@pytest.mark.parametrize(("width", "shift"), [(24, 5), (1, 1), (8, 2)])
def test_images_are_shifted_as_far_as_the_network_bears(width: int, shift: int) -> None:
    """Never by more than a tenth of the side; always by a pixel, or nothing would vary."""
    assert run(width).max_shift == shift


def test_small_images_are_shifted_by_a_pixel() -> None:
    assert run(4, size=8).max_shift == 1


class Leading(nn.Module):
    """Two classes of ten far ahead of the rest, one of them by a little."""

    def __init__(self, lead: float) -> None:
        super().__init__()
        self.lead = lead

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores = torch.zeros(len(images), 10)
        scores[:, 0], scores[:, 1] = 9.0 + self.lead, 9.0
        return scores, scores


@pytest.mark.parametrize(("lead", "margin"), [(0.1, 0.3), (4.0, 0.44), (40.0, 1.25)])
def test_a_class_is_surely_forgotten_where_it_loses_by_half_of_the_usual_lead(
    lead: float, margin: float
) -> None:
    images, generator = torch.zeros(4, 1, 8, 8), torch.Generator().manual_seed(0)
    found = probe(Leading(lead), images, "NCHW", torch.device("cpu"), generator)
    assert found.margin == pytest.approx(margin, abs=0.01)
