"""The settings of `patch create` and `patch apply`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import Option
from nhle_onnx.values.settings.shared import Force, MaxElements

_Out = Annotated[Path, Option("Where the result goes.", short="o", group=Group.OUTPUT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSettings:
    """The settings of `patch create`.

    `report` is the report of `unlearn`, by default the one beside the edited model.
    """

    base: Path
    edited: Path
    out: _Out
    report: Annotated[
        Path | None,
        Option("The report of `unlearn`.", otherwise="beside EDITED", group=Group.MODEL),
    ] = None
    no_deltas: Annotated[
        bool,
        Option(
            "Store new values only: larger, but BASE cannot be restored from EDITED and the patch.",
            group=Group.SAFETY,
        ),
    ] = False
    max_elements: MaxElements = MAX_ELEMENTS
    force: Force = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySettings:
    """The settings of `patch apply`.

    With a `trusted` public key, the patch must be signed with its private key. `signature` is by
    default the patch's name and .sig.
    """

    base: Path
    patch: Path
    out: _Out
    trusted: Annotated[
        Path | None,
        Option(
            "Refuse a patch unless it was signed with the private key of this public key.",
            keyword="require_signature",
            metavar="KEY",
            group=Group.SAFETY,
        ),
    ] = None
    signature: Annotated[
        Path | None, Option("The signature.", otherwise="PATCH + .sig", group=Group.SAFETY)
    ] = None
    also: Annotated[
        Literal["ort"] | None, Option("Also write the .ort file of the result.", group=Group.OUTPUT)
    ] = None
    force: Force = False

    @property
    def ort_path(self) -> Path | None:
        """The path of the .ort file, if one is wanted."""
        return self.out.with_suffix(".ort") if self.also == "ort" else None
