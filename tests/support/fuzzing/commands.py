"""What is done with each changed file."""

from dataclasses import dataclass

from support.fuzzing.seeds import DATA, MODEL, PATCH, SAMPLES

MAX_SECONDS = 60  # on the clock of a machine that may do other work; one that hangs takes them all
MAX_MEMORY_MIB = 1024
LIMITS = ("--max-seconds", str(MAX_SECONDS), "--max-memory", f"{MAX_MEMORY_MIB}MiB")
_FORGET = ("--forget", "3")
OUT = "out"
_OUT = f"{OUT}/made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, run in the folder of the changed file; `{seed}` is that of the good one. `outputs`
    is all that it may write to out/.
    """

    name: str
    arguments: tuple[str, ...]
    outputs: frozenset[str] = frozenset()

    def fill_in(self, seed: str) -> list[str]:
        """The command line."""
        return [part.format(seed=seed) for part in (*self.arguments, *LIMITS)]


def _make(*arguments: str, name: str, outputs: tuple[str, ...] = ()) -> Command:
    return Command(name=name, arguments=arguments, outputs=frozenset(outputs))


_UNLEARN = ("unlearn", MODEL, *_FORGET, "--quiet", "--data", f"{{seed}}/{DATA}")
_EDITED = ("made.onnx", "made.report.json", "made.onnx.data")
_VERIFY = ("verify", MODEL, *_FORGET, "--quiet", "--data", f"{{seed}}/{DATA}")
_APPLY = ("patch", "apply", MODEL, PATCH, "-o", f"{_OUT}.onnx")
MASK = (*_UNLEARN, "--method", "cwm", "--out", f"{_OUT}.onnx")

_OFTEN: tuple[Command, ...] = (
    _make("inspect", MODEL, name="inspect"),
    _make("inspect", MODEL, "--json", name="inspect --json"),
    _make(*MASK, "--dry-run", name="unlearn --method cwm --dry-run"),
    _make(*MASK, name="unlearn --method cwm", outputs=_EDITED),
    _make(*_VERIFY, name="verify"),
    _make(*_VERIFY, "--baseline", f"{{seed}}/{MODEL}", name="verify --baseline"),
    _make("diff", f"{{seed}}/{MODEL}", MODEL, name="diff"),
    _make("patch", "create", f"{{seed}}/{MODEL}", MODEL, "-o", f"{_OUT}.p", name="patch create",
        outputs=("made.p",)),
)  # fmt: skip
_KIT = _make("kit", MODEL, *_FORGET, "--quiet", "--data", f"{{seed}}/{DATA}", "-o", f"{_OUT}.zip",
             name="kit", outputs=("made.zip",))  # fmt: skip
ON_MODELS = (*_OFTEN, *_OFTEN, _KIT)  # which mostly compresses
_TRAIN = _make(*_UNLEARN, "--samples", f"{{seed}}/{DATA}", "--steps", "2", "--out", f"{_OUT}.onnx",
               name="unlearn --steps 2", outputs=_EDITED)  # fmt: skip
_AUDIT = _make("audit", MODEL, *_FORGET, "--quiet", "--baseline", f"{{seed}}/{MODEL}",
               "--data", f"{{seed}}/{DATA}", name="audit")  # fmt: skip
TRAINING = (_TRAIN, _TRAIN, _TRAIN, _AUDIT)  # which takes a while
ON_PATCHES: tuple[Command, ...] = (
    _make(*_APPLY, name="patch apply", outputs=("made.onnx", "made.onnx.data", "model.onnx.data")),
    _make("patch", "inspect", PATCH, name="patch inspect"),
    _make(*_APPLY, name="patch apply", outputs=("made.onnx", "made.onnx.data", "model.onnx.data")),
    _make("patch", "inspect", PATCH, "--json", name="patch inspect --json"),
)


def _list_readers(data: str) -> tuple[Command, ...]:
    """Commands on a good model and a changed data set."""
    flags = ("--mean", "0.286", "--std", "0.353")
    model = f"{{seed}}/{MODEL}"
    return (
        _make("verify", model, *_FORGET, "--quiet", *flags, "--data", data, name="verify"),
        _make("inspect", model, *flags, "--data", data, name="inspect --data"),
        _make("unlearn", model, *_FORGET, "--quiet", *flags, "--samples", data, "--dry-run",
              name="unlearn --dry-run"),
    )  # fmt: skip


ON_DATA = {part: _list_readers(data) for part, data in SAMPLES.items()}
