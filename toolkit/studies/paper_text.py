"""The paper's text: settings, published figures, statements, and what it leaves open.

Source: Wang, Bie, Jing, Zhi, Scientific Reports 16, 11879 (2026), doi 10.1038/s41598-026-40379-9.
We had the body text without the tables and the figures: a number stands here only if a sentence
of the text gives it. Which data set goes with which network is in the tables, so most of the pairs
are our choice among the data sets and networks that the set-up section names.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["single", "several"]
NOT_GIVEN = "not in our text"


class Pair(NamedTuple):
    """A data set and a network, by their names in this package."""

    dataset: str
    network: str


class Published(NamedTuple):
    """The paper's figures for a row, None where the text gives none."""

    acc_f: float | None = None
    acc_r_before: float | None = None
    acc_r: float | None = None
    delta: float | None = None


# Set-up section: "single-class forgetting involved removing class 0", "only 16 samples"; "classes 0
# and 4", "randomly removing 20 classes", "8 samples from each class"; "taken sequentially".
SINGLE_CLASS = (0,)
TWO_CLASSES = (0, 4)
RANDOM_CLASSES = 20  # where there are 100
SAMPLES: Mapping[Kind, int] = {"single": 16, "several": 8}  # a forgotten class
# Figure 5: "from 0.10 to 0.20 with a step size of 0.01".
RATES = tuple(round(0.10 + 0.01 * step, 2) for step in range(11))
RUNS = 30  # Table 3: "mean ± standard deviation over 30 independent runs"

SMALL_PAIRS = tuple(
    Pair(dataset, network)
    for dataset in ("mnist", "fashion_mnist")
    for network in ("mlp", "lenet5")
)
_COLOUR_NETWORKS = ("vgg16", "resnet18", "resnet34", "inceptionv3", "mobilenetv3-large")
CIFAR10_PAIRS = tuple(Pair("cifar10", network) for network in _COLOUR_NETWORKS)
CIFAR100_PAIRS = tuple(Pair("cifar100", network) for network in _COLOUR_NETWORKS)
SVHN_PAIRS = (Pair("svhn", "vgg16"), Pair("svhn", "resnet18"))
FEATURE_PAIRS = (
    Pair("mnist", "mlp"),
    Pair("fashion_mnist", "lenet5"),
    Pair("cifar10", "vgg16"),
)
PAIRS: Mapping[str, tuple[Pair, ...]] = {
    "table 1": (*SMALL_PAIRS, *SVHN_PAIRS, *CIFAR10_PAIRS),
    "table 2": (*CIFAR10_PAIRS, *CIFAR100_PAIRS),
    "table 3": (*SMALL_PAIRS, *SVHN_PAIRS, *CIFAR10_PAIRS, *CIFAR100_PAIRS),
    "table 4": (*CIFAR10_PAIRS, *CIFAR100_PAIRS),
    "table 5": FEATURE_PAIRS,
    "table 6": FEATURE_PAIRS,
    "figure 4": FEATURE_PAIRS,
    "figure 5": FEATURE_PAIRS,
}
# Pairs that a sentence of the text names for the table or figure; all others are our choice.
NAMED: Mapping[str, tuple[Pair, ...]] = {
    "table 1": (Pair("mnist", "mlp"), Pair("fashion_mnist", "lenet5")),
    "table 2": (Pair("cifar10", "vgg16"),),
    "table 3": (Pair("cifar10", "resnet34"), Pair("cifar100", "vgg16")),
    "table 6": (Pair("cifar10", "vgg16"),),
}
PUBLISHED: Mapping[tuple[str, Pair], Published] = {
    ("table 1", Pair("mnist", "mlp")): Published(0.000, 0.985, 0.957, -0.028),
    ("table 1", Pair("fashion_mnist", "lenet5")): Published(acc_f=0.000, delta=0.001),
    ("table 2", Pair("cifar10", "vgg16")): Published(acc_f=0.025, delta=-0.009),
    # The text prints -0.014 beside figures that differ by -0.015.
    ("table 3", Pair("cifar10", "resnet34")): Published(None, 0.892, 0.877, -0.014),
    ("table 3", Pair("cifar100", "vgg16")): Published(None, 0.664, 0.672, 0.008),
}
# The methods that Tables 2 and 4 compare with; the text gives none of their figures.
BASELINES: Mapping[str, tuple[str, ...]] = {"table 2": ("GKT", "WF-Net"), "table 4": ("NG-IR",)}

# What the text says about each, in our words.
CLAIMS: Mapping[str, str] = {
    "table 1": "Acc_F falls to nearly zero on every data set and network, and Acc_R hardly "
    "changes. The largest loss is MNIST with the MLP, ΔAcc_R -0.028; the abstract allows 0.035. "
    "On CIFAR-10 a small Acc_F remains.",
    "table 2": "NHLE-CWM has the lower Acc_F and keeps more of Acc_R: GKT and WF-Net lose more of "
    "it on CIFAR-10 with VGG16, and the trend is the same on CIFAR-100.",
    "table 3": "Acc_F falls to nearly zero and Acc_R stays high.",
    "table 4": "On every network NHLE-CWM has the lower Acc_F and the higher Acc_R than NG-IR.",
    "table 5": "NHLE forgets the class and keeps the others; with y(B) the retained classes lose "
    "notably.",
    "table 6": "NHLE alone reduces D_inter and increases D_intra. CWM alone reduces Acc_F further. "
    "Together they forget as well, with features that cannot be told apart.",
    "figure 4": "Before, the forgotten class is a compact cluster; after NHLE its features merge "
    "with those of other classes, whose own clusters stay apart.",
    "figure 5": "At every rate D_inter falls substantially, D_intra rises, and Ratio_D and Acc_F "
    "fall. The rates differ among themselves much less than from the original; Ratio_D and Acc_F "
    "fall gradually as the rate rises.",
}

# What the text does not say, and what we did: shown on every page.
OPEN_POINTS: Mapping[str, str] = {
    "the loss": "Eq. 2 and 5 print the gradient p - ỹ, which cross-entropy with the label ỹ does "
    "not have, as ỹ sums to 0. Both are measured: `paper-gradient` and `paper-cross-entropy`.",
    "the optimizer": "Plain SGD without momentum or weight decay; the loss is the mean over all "
    "forget samples, which form one batch.",
    "the rate of the tables": "0.10, the lowest that Fig. 5 names.",
    "the number of steps": "As many as needed until no forget sample is assigned its own "
    "class, at least 1, up to a limit. Only the forget samples decide, which are training images.",
    "what is trained": "All parameters, the head included.",
    "batch normalisation and dropout": "As in inference: 16 samples of one class would spoil the "
    "statistics.",
    "CWM and the bias": "Row and bias of a forgotten class become 0, the plainest reading.",
    "several forgotten classes": "A sample's label is -1 at its own class, 0 at the other "
    "forgotten ones, and 1 spread over the retained classes.",
    "what varies between the 30 runs": "Samples are taken in file order: run r (from 0) takes the "
    "r-th 8 of each class, and has r as its seed; of 100 classes it draws its own 20 to forget. "
    "The trained network is the same. Tables 1, 2, 5, 6 and the figures are run 0.",
    "networks and training": "Depths, widths and stems are in `models/architectures`; training "
    "(AdamW, label smoothing, flips and shifts, few epochs) in `models/recipes/training.py`.",
    "what is measured on what": "All on the test images. Distances are Euclidean, between "
    "centroids of the classifier's input.",
}


def describe_pairs(key: str) -> str:
    """Say which rows are the paper's."""
    named = ", ".join(f"{pair.dataset} with {pair.network}" for pair in NAMED.get(key, ()))
    return f"Pairs that the text names for its {key}: {named or 'none'}; the others are our choice."


def describe_source(key: str) -> str:
    """Return what the paper says about a table or figure, and what it leaves open."""
    points = "\n".join(f"- **{name}**: {choice}" for name, choice in OPEN_POINTS.items())
    return (
        f"## What the paper says\n\n{CLAIMS[key]}\n\nThis is the body text of Wang et al., "
        "Scientific Reports 16, 11879 (2026). We had it without the tables and the figures; where "
        f"it gives no number, the page says `{NOT_GIVEN}`.\n\n"
        f"## What the paper leaves open, and what we did\n\n{points}"
    )
