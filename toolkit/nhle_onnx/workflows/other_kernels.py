"""What a model gives with the kernels that do not judge it."""

from collections.abc import Mapping

from nhle_onnx.hints import hint
from nhle_onnx.runtime.kernels import SATURATION
from nhle_onnx.text import format_number
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.report import Accuracy, OtherKernels


def name_other(kernels: Kernels) -> Kernels:
    """Return the kernels that were not asked for."""
    return "default" if kernels == "exact" else "exact"


def compare_kernels(
    kernels: Kernels, judged: Mapping[str, Accuracy], others: Mapping[str, Accuracy]
) -> OtherKernels | None:
    """Return what the other kernels found; None where it is the same, or was not measured.

    `judged` and `others` are accuracies by the names that the report has for them.
    """
    if all(judged[name] == accuracy for name, accuracy in others.items()):
        return None
    return OtherKernels(kernels=name_other(kernels), accuracies=dict(others), reason=SATURATION)


def describe_kernels(other: OtherKernels | None) -> tuple[str, ...]:
    """Note what the other kernels found."""
    if other is None:
        return ()
    figures = "; ".join(
        f"{name} Acc_F {format_number(accuracy.acc_f)}, Acc_R {format_number(accuracy.acc_r)}"
        for name, accuracy in other.accuracies.items()
    )
    found = f"with {{kernels={other.kernels}}} this machine finds {figures}: {other.reason}"
    return (hint(found),)
