"""audit, how attacks are made: which of them are wanted, and how often each is repeated."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Generic, NamedTuple, Protocol, Self, TypeVar, get_args

import torch

from nhle_onnx.auditing.context import CannotRunError
from nhle_onnx.auditing.measures import combine_repeats
from nhle_onnx.hints import hint
from nhle_onnx.training.device import open_device
from nhle_onnx.values.audit import Curves, Measure, Skipped
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.request import Effort
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.workflows.observer import Stopwatch


class Tools(NamedTuple):
    """What an attack that trains needs: a device, curves to fill, a progress report, and how many
    shadow networks are wanted.
    """

    device: torch.device
    curves: Curves
    on_step: Callable[[Role, int, int], None]
    shadows: int = 0


class Redrawn(Protocol):
    """The input of attacks, whose samples can be shared out anew."""

    @property
    def seed(self) -> int:
        """What decides who holds which sample."""

    def redraw(self, seed: int) -> Self:
        """Share the samples out anew between attacker and judge."""


Context = TypeVar("Context", bound=Redrawn)
Run = Callable[[Context, Tools], tuple[Measure, ...]]
Attacks = Mapping[str, Callable[[], tuple[Measure, ...]]]


class Attack(NamedTuple, Generic[Context]):
    """An attack, whether its result varies with the attacker's samples, and the least effort that
    includes it.
    """

    run: Run[Context]
    varies: bool = False
    effort: Effort = "fast"


def make_attack(
    attack: Callable[[Context], tuple[Measure, ...]],
    *,
    varies: bool = False,
    effort: Effort = "fast",
) -> Attack[Context]:
    """Make a row of an attack that trains nothing."""
    return Attack(lambda context, _: attack(context), varies, effort)


def list_attacks(
    attacks: Mapping[str, Attack[Context]],
    context: Context,
    settings: AuditSettings,
    curves: Curves,
    watch: Stopwatch,
) -> tuple[str, Attacks]:
    """Return the training device, and each attack by name; relearning fills `curves`.

    Attacks whose result varies are repeated with several divisions of the samples.
    """
    device = open_device(settings.device, context.seed)

    def report_step(role: Role, step: int, limit: int) -> None:
        watch.observer.advance(step, limit, f"{role} model")

    tools = Tools(device, curves, report_step, settings.shadow_count)
    return str(device), {
        name: partial(_repeat, each, context, tools, settings.repeats if each.varies else 1)
        for name, each in attacks.items()
        if _is_wanted(each, settings.effort)
    }


def run_attacks(
    attacks: Attacks, watch: Stopwatch
) -> tuple[tuple[Measure, ...], tuple[Skipped, ...]]:
    """Run every attack; list one that cannot run with its reason."""
    measures: list[Measure] = []
    skipped: list[Skipped] = []
    for name, attack in attacks.items():
        with watch.stage(name, f"attack: {name.replace('_', ' ')}"):
            try:
                measures += attack()
            except CannotRunError as error:
                skipped.append(
                    Skipped(attack=name, reason=error.args[0], leaves_gap=error.leaves_gap)
                )
    return tuple(measures), tuple(skipped)


def describe_left_out(attacks: Mapping[str, Attack[Context]], effort: Effort) -> tuple[str, ...]:
    """Return a note of the attacks that take more effort than is wanted."""
    left_out = [name for name, each in attacks.items() if not _is_wanted(each, effort)]
    if not left_out:
        return ()
    return (hint(f"not made with {{effort={effort}}}: {', '.join(left_out).replace('_', ' ')}"),)


def _is_wanted(attack: Attack[Context], effort: Effort) -> bool:
    efforts = get_args(Effort)
    return efforts.index(attack.effort) <= efforts.index(effort)


def _repeat(
    attack: Attack[Context], context: Context, tools: Tools, repeats: int
) -> tuple[Measure, ...]:
    """Return what an attack finds in repeated draws of the samples; curves are the first's."""
    found = [
        attack.run(context, tools),
        *(
            attack.run(context.redraw(seed), tools._replace(curves={}))
            for seed in range(context.seed + 1, context.seed + repeats)
        ),
    ]
    return combine_repeats(found) if repeats > 1 else found[0]
