"""The settings of `dossier`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import Option
from nhle_onnx.values.settings.shared import Force


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierSettings:
    """The settings of `dossier`; `password` is that of an encrypted key."""

    case: Path
    out: Annotated[Path, Option("The dossier, DOSSIER.zip.", short="o", group=Group.OUTPUT)]
    key: Annotated[
        Path | None, Option("The private key to sign with, PEM.", group=Group.SAFETY)
    ] = None
    certificate: Annotated[
        Path | None, Option("The certificate for the key, PEM.", group=Group.SAFETY)
    ] = None
    force: Force = False
    password: str | None = None
