"""Tables of classes: what each model makes of each."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nhle_onnx.release.page.charts.style import ROLE_NAMES
from nhle_onnx.release.page.elements import Row, Table
from nhle_onnx.release.page.figures import format_plain, format_share
from nhle_onnx.release.rows import at, choose_rows, measure_spread, name_classes
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.report import Accuracy


def tabulate_accuracy(
    labels: Sequence[str],
    forget: Sequence[int],
    accuracies: Mapping[Role, Accuracy],
    images: int,
) -> tuple[Table, ...]:
    """Tabulate the accuracy of each class, one column a model; forgotten ones are marked. Of many
    classes, those that changed most come first, and the others are folded. `images` judged them.
    """
    per_class = max(1, images // max(1, len(labels)))
    means = tuple(
        Row(cells=(name, *(format_share(getattr(each, key)) for each in accuracies.values())))
        for name, key in (("forgotten classes", "acc_f"), ("all other classes", "acc_r"))
    )
    values = {ROLE_NAMES[role]: accuracy.per_class for role, accuracy in accuracies.items()}
    write = partial(format_share, images=per_class)
    return _tabulate_classes("Accuracy of each class", labels, forget, values, means, write)


def tabulate_precision(
    labels: Sequence[str], forget: Sequence[int], found: Mapping[str, Precision]
) -> tuple[Table, ...]:
    """Tabulate the average precision of each class, and of the forgotten ones at each scale."""
    means = tuple(
        Row(cells=(name, *(format_plain(getattr(each, key)) for each in found.values())))
        for name, key in (("forgotten classes", "ap_f"), ("all other classes", "map_r"))
    )
    title = "Average precision of each class"
    values = {name: each.per_class for name, each in found.items()}
    scales = dict.fromkeys(scale for each in found.values() for scale in each.by_scale)
    rows = tuple(
        Row(cells=(scale, *(format_plain(each.by_scale.get(scale)) for each in found.values())))
        for scale in scales
    )
    return (
        *_tabulate_classes(title, labels, forget, values, means, format_plain),
        Table(
            title="Average precision of the forgotten classes, each scale by itself",
            header=("scale", *found),
            rows=rows,
            figures=frozenset(range(1, len(found) + 1)),
        ),
    )


def _tabulate_classes(
    title: str,
    labels: Sequence[str],
    forget: Sequence[int],
    values: Mapping[str, Sequence[float | None]],
    means: tuple[Row, ...],
    write: Callable[[float | None], str],
) -> tuple[Table, ...]:
    names = name_classes(labels, forget)
    shown = choose_rows(len(labels), forget, values, measure_spread)
    rest = sorted({*range(len(labels))} - {*shown})

    def make_row(index: int) -> Row:
        cells = (write(at(each, index)) for each in values.values())
        return Row(cells=(names[index], *cells), is_marked=index in forget)

    header = ("class", *values)
    figures = frozenset(range(1, len(values) + 1))
    title = f"The {len(shown)} classes that changed most" if rest else title
    first = Table(
        title=title,
        header=header,
        rows=(*map(make_row, shown), *means),
        figures=figures,
    )
    if not rest:
        return (first,)
    others = Table(
        title=f"The other {len(rest):,} classes",
        header=header,
        rows=tuple(map(make_row, rest)),
        figures=figures,
        is_folded=True,
    )
    return first, others
