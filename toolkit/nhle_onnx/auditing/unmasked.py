"""Each model with the original's head, where that fits."""

from onnx import ModelProto

from nhle_onnx.auditing.context import AuditContext, CannotRunError
from nhle_onnx.graph.head.head import Head
from nhle_onnx.text import explain_lost
from nhle_onnx.values.outcomes import Role


def list_fitting(context: AuditContext) -> dict[Role, ModelProto]:
    """Return the graph of each model that the original's head fits, with that head.

    Raises CannotRunError where it does not fit the edited model.
    """
    original = context.targets["original"].head
    shape = original.rows.weight.shape
    heads = {
        role: target.head
        for role, target in context.targets.items()
        if target.head.rows.weight.shape == shape
    }
    if "edited" not in heads:
        raise CannotRunError("the edited model's head has another shape than the original's")
    fitting = {}
    for role, head in heads.items():
        restored = head.restore(original)
        lost = Head(restored, head.layout).find_lost(original)
        if lost is None:
            fitting[role] = restored
        elif role == "edited":
            raise CannotRunError(explain_lost("row", lost), leaves_gap=True)
    return fitting
