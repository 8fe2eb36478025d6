"""ViT: Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at
scale", 2021, §3.1 and appendix A.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6


class SelfAttention(nn.Module):
    """Multi-head self-attention (appendix A); `fused` leaves its equations to torch."""

    def __init__(self, dim: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.heads = heads
        self.fused = fused
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [N, T, D] that have seen each other."""
        count, length, dim = tokens.shape
        shape = (count, length, 3, self.heads, dim // self.heads)
        queries, keys, values = self.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            mixed = functional.scaled_dot_product_attention(queries, keys, values)
        else:
            scores = queries @ keys.transpose(-2, -1) * (dim // self.heads) ** -0.5
            mixed = scores.softmax(dim=-1) @ values
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(count, length, dim))
        return out


class EncoderBlock(nn.Module):
    """Attention and a two-layer perceptron, each normalised first and added (eqs. 2 and 3)."""

    def __init__(self, dim: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.attend = nn.Sequential(
            nn.LayerNorm(dim, eps=EPSILON), SelfAttention(dim, heads, fused=fused)
        )
        self.perceive = nn.Sequential(
            nn.LayerNorm(dim, eps=EPSILON),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [N, T, D]."""
        tokens = tokens + self.attend(tokens)
        out: Tensor = tokens + self.perceive(tokens)
        return out


class VisionTransformer(nn.Module):
    """Takes [N, 3, image_size, image_size], returns logits [N, num_classes].

    The defaults suit 32x32 images; ViT-B/16 is 224, 16, 768, 12 and 12. Dropout is left out.
    """

    def __init__(
        self,
        num_classes: int = 10,
        image_size: int = 32,
        patch_size: int = 4,
        dim: int = 192,
        depth: int = 6,
        heads: int = 3,
        *,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, dim, patch_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(
            0.02 * torch.randn(1, (image_size // patch_size) ** 2 + 1, dim)
        )
        blocks = [EncoderBlock(dim, heads, fused=fused) for _ in range(depth)]
        self.encoder = nn.Sequential(*blocks, nn.LayerNorm(dim, eps=EPSILON))
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        patches = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(images.shape[0], -1, -1), patches], dim=1)
        logits: Tensor = self.classifier(self.encoder(tokens + self.positions)[:, 0])
        return logits
