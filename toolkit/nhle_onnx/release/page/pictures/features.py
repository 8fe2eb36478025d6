"""Features in two dimensions."""

from functools import partial

from nhle_onnx.release.page.charts.points import draw_projection
from nhle_onnx.release.page.charts.style import ROLE_NAMES
from nhle_onnx.release.page.elements import Picture
from nhle_onnx.release.page.svg import make_picture
from nhle_onnx.text import name_class
from nhle_onnx.values.audit import AuditReport, Projection


def picture_projection(report: AuditReport, projection: Projection) -> Picture:
    """Draw features of the judging samples in two dimensions."""
    names = [name_class(index, label) for index, label in enumerate(report.labels)]
    forgotten = ", ".join(names[index] for index in report.forget)
    roles = ", ".join(ROLE_NAMES[role] for role in projection.points)
    title = "Features in two dimensions (PCA)"
    alternative = (
        f"{title}: {len(projection.classes)} images as points, a panel for each model ({roles}); "
        f"those of {forgotten} are coloured, the others grey."
    )
    draw = partial(draw_projection, projection=projection, forget=report.forget, names=names)
    return make_picture(
        "projection",
        draw,
        title=title,
        alternative=alternative,
        caption="Each model's features, projected on the two directions in which they vary most "
        "(principal component analysis). A class that the features still know is a cloud of its "
        "own. "
        + _compare_clouds(report)
        + " Two of many directions can hide a class or set one apart by chance, so the figures "
        "judge, not this picture.",
    )


def _compare_clouds(report: AuditReport) -> str:
    """Say why the cloud of the edited model may look worse than the verdict."""
    if report.verdict != "passed":
        return "The verdict above says what the attacks made of it."
    if report.reference is None:
        return (
            "A cloud that lies apart does not contradict the verdict: no attack found more of "
            "the class than is allowed."
        )
    return (
        "A cloud that lies apart does not contradict the verdict: a model that never saw the "
        "class may set it apart as well, as the retrained one shows."
    )
