"""The zoo: a row for each network, in a half that was fixed before anything was measured."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from studies.strangers.blocks import Network
from studies.strangers.recipes import Recipe

Half = Literal["development", "final"]
Exporter = Literal["folded", "kept", "dynamo"]


@dataclass(frozen=True, slots=True)
class Stranger:
    """A network, its data and recipe, and its exporter: torch's older one with batch norms `folded`
    into convolutions or `kept`, or the newer one, `dynamo`.
    """

    name: str
    half: Half
    data: str
    network: Network
    recipe: Recipe
    exporter: Exporter = "folded"


_mlp = partial(Network, family="mlp", widths=(256, 128))
_lenet = partial(Network, family="lenet", widths=(6, 16), activation="tanh", hidden=84)
_plain = partial(Network, family="plain", widths=(16, 32), hidden=128)
_pooled = partial(Network, family="plain", widths=(16, 32, 64), norm="batch")
_hidden = partial(_pooled, hidden=256)
_headless = partial(Network, family="all-convolutional", widths=(16, 32, 64), norm="batch")
_residual = partial(Network, family="residual", widths=(16, 32, 64), norm="batch")
_depthwise = partial(
    Network, family="depthwise", widths=(16, 24, 32), norm="batch", activation="hard-swish"
)
_vit = partial(Network, family="vit", widths=(48,), depth=3, activation="gelu")
_swin = partial(Network, family="swin", widths=(32, 64), activation="gelu")
_convnext = partial(Network, family="convnext", widths=(24, 48), activation="gelu")
_mobilevit = partial(
    Network, family="mobilevit", widths=(16, 24, 32), norm="batch", activation="silu"
)

_deep = partial(_depthwise, widths=(16, 24, 32, 48), depth=2, activation="relu6")

_adam = Recipe
_sgd = partial(Recipe, optimizer="sgd", lr=0.02, weight_decay=5e-4)
_cycle = partial(Recipe, optimizer="adamw", lr=3e-3, schedule="one-cycle", weight_decay=5e-3)
_attention = partial(_cycle, lr=2e-3, steps=600)

D: Half = "development"
F: Half = "final"

# In pairs: a network of one half, and one of the other half that is similar, not the same.
STRANGERS = (
    Stranger("plain-dropout", D, "mnist", _plain(dropout=0.25), _adam()),
    Stranger("plain-dropout-5", F, "fashion", _plain(dropout=0.5), _adam(steps=900)),
    Stranger(
        "tutorial", D, "mnist", _plain(widths=(32, 64), dropout=0.4), _adam(steps=300, lr=2e-3)
    ),
    Stranger(
        "tutorial-sgd", F, "mnist", _plain(widths=(32, 64), dropout=0.25), _sgd(steps=400)
    ),
    Stranger("mlp", D, "mnist", _mlp(), _adam(steps=2000)),
    Stranger("mlp-decay", F, "fashion", _mlp(), _adam(steps=2000, weight_decay=1e-3)),
    Stranger("lenet-tanh", D, "mnist", _lenet(), _sgd(steps=1500)),
    Stranger("lenet-relu", F, "fashion", _lenet(activation="relu"), _adam(steps=1500)),
    Stranger("residual-kept", D, "fashion", _residual(), _cycle(steps=300), "kept"),
    Stranger("residual-kept-street", F, "street-10", _residual(), _sgd(steps=500), "kept"),
    Stranger("depthwise-hard-swish", D, "fashion-32", _depthwise(), _cycle(steps=400)),
    Stranger("depthwise-relu6", F, "clutter-10", _depthwise(activation="relu6"), _cycle()),
    Stranger(
        "transferred", D, "clutter-9", _deep(), _adam(steps=500, pretrained_on="street-36")
    ),
    Stranger(
        "transferred-residual", F, "clutter-9", _residual(depth=2),
        _sgd(steps=400, pretrained_on="street-36"),
    ),
    Stranger("vit", D, "fashion-32", _vit(), _attention(steps=900)),
    Stranger("vit-street", F, "street-10", _vit(), _attention(steps=1000)),
    Stranger("letters", D, "letters-26", _plain(norm="group"), _cycle(shift=2)),
    Stranger("letters-residual", F, "letters-26", _residual(norm="group"), _cycle(steps=400)),
    Stranger("characters", D, "characters-47", _residual(), _cycle(steps=500), "kept"),
    Stranger("characters-silu", F, "characters-47", _plain(activation="silu"), _cycle(steps=900)),
    Stranger("numbers", D, "street-100", _hidden(), _cycle(steps=900)),
    Stranger("pairs", F, "clutter-100", _hidden(), _cycle(steps=900)),
    Stranger("parity", D, "mnist-2", _plain(), _adam(steps=500)),
    Stranger("footwear", F, "fashion-2", _plain(norm="batch"), _adam(steps=300)),
    Stranger("footwear-mlp", D, "fashion-2", _mlp(widths=(64,)), _sgd(steps=1000)),
    Stranger("parity-mlp", F, "mnist-2", _mlp(widths=(64, 64)), _adam(steps=2000)),
    Stranger("plain-decay", D, "fashion", _plain(), _adam(weight_decay=5e-3)),
    Stranger("plain-sgd-decay", F, "mnist", _plain(), _sgd(weight_decay=5e-3)),
    Stranger("few-to-zero", D, "mnist-few", _plain(), _adam(steps=800, to_zero=True)),
    Stranger("few-fashion-to-zero", F, "fashion-few", _plain(), _adam(steps=1000, to_zero=True)),
    Stranger("imbalanced", D, "fashion-imbalanced", _plain(norm="batch"), _adam(steps=500)),
    Stranger("imbalanced-digits", F, "mnist-imbalanced", _plain(), _adam(steps=500)),
    Stranger("noisy", D, "mnist", _pooled(), _adam(steps=500, noise=0.2)),
    Stranger("noisy-fashion", F, "fashion", _pooled(), _adam(steps=500, noise=0.3)),
    Stranger(
        "mixup", D, "street-36", _residual(widths=(16, 32, 48)), _cycle(steps=500, mixup=True)
    ),
    Stranger(
        "mixup-fashion", F, "fashion-32", _residual(widths=(16, 32, 48)),
        _cycle(steps=400, mixup=True),
    ),
    Stranger(
        "distilled", D, "mnist", _plain(widths=(8, 16), hidden=64),
        _adam(steps=400, teacher=_plain(widths=(16, 32), norm="batch")),
    ),
    Stranger(
        "distilled-fashion", F, "fashion", _plain(widths=(8, 16), hidden=64),
        _adam(steps=400, teacher=_plain(widths=(16, 32), norm="batch")),
    ),
    Stranger("swin", D, "fashion-32", _swin(), _attention()),
    Stranger("swin-street", F, "street-10", _swin(), _attention(steps=1200)),
    Stranger("convnext", D, "street-10", _convnext(), _attention(steps=2500)),
    Stranger("convnext-clutter", F, "clutter-10", _convnext(), _attention(steps=2500)),
    Stranger("mobilevit", D, "clutter-10", _mobilevit(), _attention(steps=500)),
    Stranger("mobilevit-street", F, "street-10", _mobilevit(), _attention(steps=500)),
    Stranger("tiny-pictures", D, "mnist-8", _mlp(widths=(64, 64)), _adam(steps=2500)),
    Stranger("tiny-pictures-plain", F, "mnist-8", _plain(), _adam(steps=1000)),
    Stranger("headless", D, "mnist", _headless(), _cycle(steps=400, label_smoothing=0.1)),
    Stranger("headless-fashion", F, "fashion", _headless(), _adam(steps=500)),
    Stranger("thin", D, "fashion", _plain(widths=(4, 8), hidden=32), _adam(steps=1500)),
    Stranger("thin-digits", F, "mnist", _plain(widths=(4, 8), hidden=32), _adam(steps=1500)),
    Stranger("wide", D, "mnist", _plain(widths=(64, 128), hidden=512), _adam(steps=150)),
    Stranger("wide-fashion", F, "fashion", _plain(widths=(64, 128), hidden=512), _adam(steps=200)),
    Stranger("mlp-tanh", D, "fashion", _mlp(activation="tanh", dropout=0.5), _adam(steps=2500)),
    Stranger("mlp-silu", F, "mnist", _mlp(activation="silu", dropout=0.3), _adam(steps=2500)),
    Stranger("mlp-wide", D, "fashion", _mlp(widths=(1024, 512)), _sgd(steps=800, mixup=True)),
    Stranger("mlp-wide-digits", F, "mnist", _mlp(widths=(1024, 512)), _cycle(label_smoothing=0.1)),
    Stranger("stopped-early", D, "fashion", _lenet(activation="relu"), _adam(steps=150)),
    Stranger("stopped-early-digits", F, "mnist", _lenet(), _adam(steps=250)),
    Stranger("lenet-smooth", D, "fashion", _lenet(widths=(12, 32)), _cycle(label_smoothing=0.1)),
    Stranger("lenet-silu", F, "mnist", _lenet(activation="silu", dropout=0.1), _adam(steps=1000)),
    Stranger(
        "layer-norm", D, "street-10", _pooled(norm="layer", activation="gelu"), _cycle(steps=700)
    ),
    Stranger(
        "layer-norm-letters", F, "letters-26", _pooled(norm="layer", activation="gelu"), _cycle()
    ),
    Stranger("newer-exporter", D, "street-36", _pooled(hidden=128), _cycle(), "dynamo"),
    Stranger("newer-exporter-100", F, "street-100", _pooled(hidden=256), _cycle(), "dynamo"),
    Stranger("pairs-plain", D, "clutter-100", _hidden(activation="silu"), _cycle(steps=1000)),
    Stranger("street-decay", F, "street-36", _pooled(widths=(32, 64, 96)), _cycle(steps=400)),
    Stranger("thousand", D, "signs-1000", _hidden(), _cycle(steps=1500)),
    Stranger("thousand-on-textures", F, "street-1000", _hidden(), _cycle(steps=2000)),
    Stranger("large", D, "clutter-10-224", _depthwise(), _cycle(steps=500)),
    Stranger("large-street", F, "street-26-224", _depthwise(activation="silu"), _cycle(steps=500)),
    Stranger("large-vit", D, "street-26-224", _vit(widths=(64,)), _attention(steps=500)),
    Stranger("large-vit-clutter", F, "clutter-10-224", _vit(widths=(64,)), _attention(steps=500)),
    Stranger("residual-64", D, "street-10-64", _residual(), _sgd(steps=400), "kept"),
    Stranger("residual-64-clutter", F, "clutter-10-64", _residual(), _cycle(steps=400, shift=3)),
    Stranger("convnext-64", D, "clutter-10-64", _convnext(), _attention(), "dynamo"),
    Stranger("convnext-64-street", F, "street-10-64", _convnext(), _attention(steps=500)),
    Stranger("depthwise-relu6-few", D, "fashion-few", _deep(), _adam(steps=300, shift=2)),
    Stranger("depthwise-few", F, "mnist-few", _depthwise(), _adam(steps=300, to_zero=True)),
    Stranger("depthwise-kept", D, "street-36", _deep(), _cycle(steps=600), "kept"),
    Stranger("depthwise-kept-100", F, "street-100", _deep(), _cycle(steps=700), "kept"),
    Stranger("residual-silu", D, "mnist-imbalanced", _residual(activation="silu"), _sgd(steps=250)),
    Stranger(
        "residual-gelu", F, "fashion-imbalanced", _residual(activation="gelu"), _sgd(steps=300)
    ),
    Stranger("characters-dropout", D, "characters-47", _plain(dropout=0.1), _adam(steps=900)),
    Stranger("characters-mlp", F, "characters-47", _mlp(dropout=0.2), _adam(steps=3000)),
    Stranger("letters-mlp", D, "letters-26", _mlp(activation="gelu"), _cycle(steps=2000)),
    Stranger("letters-plain", F, "letters-26", _plain(dropout=0.3, norm="batch"), _adam()),
    Stranger("vit-characters", D, "characters-47", _vit(), _attention(steps=1000), "dynamo"),
    Stranger("vit-fashion", F, "fashion-32", _vit(), _attention(mixup=True), "dynamo"),
    Stranger("mobilevit-fashion", D, "fashion-32", _mobilevit(), _attention(steps=400)),
    Stranger("mobilevit-36", F, "street-36", _mobilevit(), _attention(steps=500)),
    Stranger(
        "distilled-residual", D, "clutter-10", _residual(widths=(8, 16, 32)),
        _cycle(steps=500, teacher=_residual()),
    ),
    Stranger(
        "distilled-residual-fashion", F, "fashion-32", _residual(widths=(8, 16, 32)),
        _cycle(steps=300, teacher=_residual()),
    ),
)  # fmt: skip
