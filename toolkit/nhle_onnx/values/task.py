"""What a model does, and the figures that it is judged by; for all that shows figures."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A figure: its field in a measurement, its name in a table, and which classes it is about."""

    key: str
    title: str
    classes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of models. `tag` is its name in registries, `change` the field of a report that says
    what the retained classes lost, `layer` what was masked, `limit` what becomes of `{names}`.
    """

    tag: str
    model: str
    metric: str
    forgotten: Term
    retained: Term
    change: str
    layer: str
    limit: str

    @property
    def terms(self) -> tuple[Term, Term]:
        """The figures of a measurement."""
        return self.forgotten, self.retained


CLASSIFICATION: Final = Task(
    tag="image-classification",
    model="An image classifier",
    metric="accuracy",
    forgotten=Term(key="acc_f", title="Acc_F", classes="forgotten classes"),
    retained=Term(key="acc_r", title="Acc_R", classes="retained classes"),
    change="delta_acc_r",
    layer="head",
    limit="An image of {names} is assigned another class.",
)
DETECTION: Final = Task(
    tag="object-detection",
    model="A detector",
    metric="average precision",
    forgotten=Term(key="ap_f", title="AP_F", classes="forgotten classes"),
    retained=Term(key="map_r", title="mAP_R", classes="retained classes"),
    change="delta_map_r",
    layer="class channels",
    limit="Objects of {names} are not detected as such; they may be as another class.",
)


class Measurement(Protocol):
    """The accuracy or the average precision of a model, in the terms of its task."""

    task: ClassVar[Task]


class Measured(Protocol):
    """A report of any task, before and after forgetting."""

    @property
    def before(self) -> Measurement | None:
        """The original's figures."""

    @property
    def after(self) -> Measurement:
        """The edited model's figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure before and after forgetting, and with the original's last layer put back; None where
    it was not measured.
    """

    term: Term
    before: float | None
    after: float | None
    unmasked: float | None


def list_figures(report: Measured) -> tuple[Figure, ...]:
    """List a report's figures: of the forgotten classes, and of the others."""
    models = (report.before, report.after, getattr(report, "unmasked", None))

    def make_figure(term: Term) -> Figure:
        before, after, unmasked = (getattr(model, term.key, None) for model in models)
        return Figure(term=term, before=before, after=after, unmasked=unmasked)

    return tuple(map(make_figure, report.after.task.terms))


def read_change(report: Measured) -> float | None:
    """Return what the retained classes lost, as the report has it."""
    change: float | None = getattr(report, report.after.task.change)
    return change
