"""Each model with the original's head, where that fits."""

from onnx import ModelProto

from nhle_onnx.auditing.context import AuditContext, CannotRunError
from nhle_onnx.values.outcomes import Role


def list_fitting(context: AuditContext) -> dict[Role, ModelProto]:
    """Return the graph of each model that the original's head fits, with that head.

    Raises CannotRunError where it does not fit the edited model.
    """
    rows = context.targets["original"].head.rows
    fitting = {
        role: target.head.with_rows(rows)
        for role, target in context.targets.items()
        if target.head.rows.weight.shape == rows.weight.shape
    }
    if "edited" not in fitting:
        raise CannotRunError("the edited model's head has another shape than the original's")
    return fitting
