"""Random views of model inputs [N, C, H, W], drawn from one generator."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

_FLIP_PROBABILITY = 0.5
_MIXED_SHARE = 0.5  # of the images
_LARGEST_MIX = 0.5  # of another image in them
_NOISE_STRENGTH = 1.5  # relative to the images' own spread
_COARSENESS = 4  # pixels a noise cell; also patches and hole cells a side


def flip_and_shift(
    images: Tensor, max_shift: int, generator: Generator, *, mirrors: bool = True
) -> Tensor:
    """Mirror each image half of the time if `mirrors`, and shift it by up to `max_shift` pixels,
    with its edge repeated.
    """
    count, _, height, width = images.shape
    padded = functional.pad(images, [max_shift] * 4, mode="replicate")
    top, left = torch.randint(0, 2 * max_shift + 1, (2, count, 1), generator=generator)
    rows = top + torch.arange(height)
    columns = left + torch.arange(width)
    mirrored = torch.rand(count, 1, generator=generator) < _FLIP_PROBABILITY * mirrors
    columns = torch.where(mirrored, columns.flip(1), columns)
    which = torch.arange(count)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def mix(images: Tensor, others: Tensor, generator: Generator) -> Tensor:
    """Blend half of the images with those of `others` [N, C, H, W], by up to one half."""
    amount, is_mixed = torch.rand(2, len(images), 1, 1, 1, generator=generator)
    share = _LARGEST_MIX * amount * (is_mixed < _MIXED_SHARE)
    return images.lerp(others, share.to(images.dtype))


def synthesize_anchors(images: Tensor, generator: Generator) -> Tensor:
    """Make pictures that show no class from the given ones, five from each.

    Smooth noise of the same statistics, shuffled patches, a blend of noise with another image, and
    two in which noise-shaped holes hide a part. What a network makes of such pictures pins down the
    function that it computes, where no other sample is at hand.
    """
    return torch.cat(
        [
            _make_smooth_noise(images, generator),
            _shuffle_patches(images, generator),
            (_make_smooth_noise(images, generator) + images.roll(1, 0)) / 2,
            _cut_holes(images, generator),
            _cut_holes(images.flip(2), generator),
        ]
    )


def _make_smooth_noise(images: Tensor, generator: Generator) -> Tensor:
    count, channels, height, width = images.shape
    cells = (max(2, height // _COARSENESS), max(2, width // _COARSENESS))
    coarse = torch.randn((count, channels, *cells), generator=generator)
    smooth = functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return smooth * images.std() * _NOISE_STRENGTH + images.mean()


def _shuffle_patches(images: Tensor, generator: Generator) -> Tensor:
    """Cut the image into 4 x 4 patches in random order; a remainder at the edge stays."""
    count, channels, height, width = images.shape
    side = _COARSENESS
    tall, wide = height // side, width // side
    inner = images[:, :, : tall * side, : wide * side]
    grid = inner.reshape(count, channels, side, tall, side, wide).permute(0, 2, 4, 1, 3, 5)
    patches = grid.reshape(count, side * side, channels, tall, wide)
    order = torch.argsort(torch.rand(count, side * side, generator=generator), dim=1)
    shuffled = patches[torch.arange(count)[:, None], order].reshape(grid.shape)
    result = images.clone()
    result[:, :, : tall * side, : wide * side] = shuffled.permute(0, 3, 1, 4, 2, 5).reshape(
        inner.shape
    )
    return result


def _cut_holes(images: Tensor, generator: Generator) -> Tensor:
    count, _, height, width = images.shape
    cells = torch.randn((count, 1, _COARSENESS, _COARSENESS), generator=generator)
    visible = functional.interpolate(cells, size=(height, width), mode="bilinear") > 0
    return torch.where(visible, images, images.amin())
