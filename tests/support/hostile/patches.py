"""Patches that are none, that make too much, or that write elsewhere."""

import json
import struct
from collections.abc import Callable

import zstandard

from support.hostile.case import MODEL, OUT, Attempt, Build, HostileFile
from support.hostile.patch_files import (
    PATCH,
    SCHEMA,
    Document,
    change_manifest,
    frame,
    pack,
    write_patch,
)

_APPLY = (
    "patch", "apply", f"{{folder}}/{MODEL}", f"{{folder}}/{PATCH}",
    "-o", f"{{folder}}/{OUT}/edited.onnx",
)  # fmt: skip
_INSPECT = ("patch", "inspect", f"{{folder}}/{PATCH}")
_HUGE = 2**48
_ANY = "0" * 64


def _refuse(name: str, tries: str, build: Build, says: str, **flags: bool) -> HostileFile:
    attempts = tuple(Attempt(command=command, says=says) for command in (_APPLY, _INSPECT))
    return HostileFile(name=name, tries=tries, build=build, attempts=attempts, **flags)


def _refuse_to_apply(name: str, tries: str, build: Build, says: str, **flags: bool) -> HostileFile:
    """Of which the header is good: it shows only when it is applied."""
    attempts = (Attempt(command=_APPLY, says=says), Attempt(command=_INSPECT, codes=(0,)))
    return HostileFile(name=name, tries=tries, build=build, attempts=attempts, **flags)


def _make(*pieces: list[object], size: int | None = None) -> Callable[[Document], None]:
    """A result of other pieces."""

    def edit(document: Document) -> None:
        made = document["result"][0]
        made["pieces"] = list(pieces)
        made["size_bytes"] = sum(int(str(piece[1])) for piece in pieces) if size is None else size

    return edit


def _name_result(name: str) -> Build:
    def edit(document: Document) -> None:
        first = document["result"][0]
        document["result"] = [first, first | {"name": name}]

    return change_manifest(edit)


def _bomb(size: int) -> bytes:
    """A frame that states no size, and holds more than anybody asked for."""
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=False)
    return compressor.compress(bytes(size))


def _widen() -> bytes:
    """A frame that wants 2 GiB of memory to be read."""
    parameters = zstandard.ZstdCompressionParameters(window_log=31, compression_level=1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(b"x" * 1000) + compressor.flush()


def _repeat_key(document: Document) -> bytes:
    text = json.dumps({"format": SCHEMA, "manifest": json.dumps(document)})
    return frame(f'{{"__metadata__": {text}, "__metadata__": {text}}}'.encode())


def _repeat_in_manifest(document: Document) -> bytes:
    return pack(json.dumps(document)[:-1] + f', "schema": "{SCHEMA}"}}')


def _nest(document: Document) -> bytes:
    return pack(json.dumps(document)[:-1] + ', "forget": ' + "[" * 100_000 + "]" * 100_000 + "}")


def _count_pieces(document: Document) -> bytes:
    document["result"][0]["pieces"] = []
    text = json.dumps(document).replace('"pieces": []', '"pieces": [' + '["copy",0],' * 10**6)
    return pack(text.rstrip("}]") + '["copy",0]]}], "tensors": []}')


def _set(key: str, value: object) -> Build:
    return change_manifest(lambda document: document.update({key: value}))


def _require_another(document: Document) -> None:
    document["base"][0]["sha256"] = document["result"][0]["sha256"] = _ANY


def _place(start: object, end: object) -> Build:
    def make(document: Document) -> bytes:
        metadata = {"format": SCHEMA, "manifest": json.dumps(document)}
        return frame(
            json.dumps(
                {"__metadata__": metadata, "insert": {"data_offsets": [start, end]}}
            ).encode()
        )

    return write_patch(make)


CASES: tuple[HostileFile, ...] = (
    _refuse(
        "header of 2^63 bytes",
        "takes all memory",
        write_patch(lambda _: struct.pack("<Q", 2**63) + b"{}"),
        "not a patch",
    ),
    _refuse(
        "header beyond the end",
        "is truncated",
        write_patch(lambda _: struct.pack("<Q", 2**20) + b"{}"),
        "truncated",
    ),
    _refuse(
        "header that is deep",
        "overflows the stack",
        write_patch(lambda _: frame(b"[" * 100_000)),
        "not a patch",
    ),
    _refuse(
        "header with NaN",
        "is not a number",
        write_patch(lambda _: frame(b'{"__metadata__": NaN}')),
        "not a patch",
    ),
    _refuse(
        "header with a long number",
        "takes long",
        write_patch(lambda _: frame(b'{"__metadata__": ' + b"9" * 10**6 + b"}")),
        "not a patch",
    ),
    _refuse(
        "header that is a list",
        "is not a header",
        write_patch(lambda _: frame(b"[]")),
        "not a patch",
    ),
    _refuse(
        "header that is not text",
        "is not text",
        write_patch(lambda _: frame(b'"\xff"')),
        "not a patch",
    ),
    _refuse("repeated key", "shows one, uses the other", write_patch(_repeat_key), "repeated key"),
    _refuse(
        "repeated key in the manifest",
        "shows one, uses the other",
        write_patch(_repeat_in_manifest),
        "repeated key",
    ),
    _refuse("manifest that is deep", "overflows the stack", write_patch(_nest), "damaged"),
    _refuse("10^6 pieces", "takes all memory", write_patch(_count_pieces), "its header"),
    _refuse(
        "manifest that is not text",
        "is not text",
        write_patch(
            lambda _: frame(
                json.dumps({"__metadata__": {"format": SCHEMA, "manifest": 7}}).encode()
            )
        ),
        "damaged",
    ),
    _refuse("NaN for a class", "is not a number", _set("forget", [float("nan")]), "damaged"),
    _refuse("negative class", "is none", _set("forget", [-1]), "damaged"),
    _refuse("no result", "makes nothing", _set("result", []), "damaged"),
    _refuse("no base", "needs nothing", _set("base", []), "damaged"),
    _refuse("unknown field", "is of another format", _set("run", "sh"), "damaged"),
    _refuse(
        "far format",
        "is not known",
        write_patch(
            lambda _: frame(
                json.dumps(
                    {"__metadata__": {"format": "nhle-onnx/patch/v9\x1b[2J", "manifest": ""}}
                ).encode()
            )
        ),
        "does not know",
    ),
    _refuse("stream beyond the end", "reads what is behind", _place(0, 10**6), "truncated"),
    _refuse("stream at a negative place", "reads the header", _place(-8, 0), "truncated"),
    _refuse("stream at infinity", "is not a number", _place(0, 1e400), "not a patch"),
    _refuse("stream at a fraction", "is not a number", _place(0, 0.5), "damaged"),
    _refuse(
        "unknown stream",
        "opens many files",
        change_manifest(lambda _: None, {f"s{index}": b"" for index in range(5000)}),
        "damaged",
    ),
    _refuse("name of a folder above", "writes elsewhere", _name_result(".."), "damaged"),
    _refuse("name above", "writes elsewhere", _name_result("../x"), "damaged"),
    _refuse("absolute name", "writes elsewhere", _name_result("/absolute/x"), "damaged"),
    _refuse("hidden name", "is run by a shell", _name_result(".bashrc"), "damaged"),
    _refuse("name with escapes", "writes to the terminal", _name_result("a\x9b2J"), "damaged"),
    _refuse(
        "long name of a result", "fails in the file system", _name_result("a" * 300), "damaged"
    ),
    _refuse("one name twice", "writes one over the other", _name_result("edited.onnx"), "damaged"),
    _refuse(
        "piece beyond the base",
        "reads what is behind",
        change_manifest(_make(["copy", 10**9, 0, 0])),
        "damaged",
    ),
    _refuse(
        "piece at 2^48",
        "reads for ever",
        change_manifest(_make(["copy", _HUGE, 0, 0])),
        "damaged",
        is_dangerous=True,
    ),
    _refuse(
        "piece of no file", "reads another", change_manifest(_make(["copy", 4, 7, 0])), "damaged"
    ),
    _refuse("piece of another kind", "runs", change_manifest(_make(["run", 4])), "damaged"),
    _refuse(
        "words that are cut",
        "reads half a number",
        change_manifest(_make(["delta", 5, 0, 0, 4])),
        "damaged",
    ),
    _refuse(
        "more than declared",
        "fills the disk",
        change_manifest(_make(["copy", 16, 0, 0], ["copy", 16, 0, 0], size=16)),
        "damaged",
    ),
    _refuse_to_apply(
        "base that is larger",
        "reads what is behind",
        change_manifest(
            lambda document: (
                document["base"][0].update(size_bytes=_HUGE),
                _make(["copy", _HUGE, 0, 0])(document),
            )
        ),
        "does not match its header",
        is_dangerous=True,
    ),
    _refuse_to_apply(
        "result of 2^48 bytes",
        "fills the disk",
        change_manifest(_make(["insert", _HUGE]), {"insert": _bomb(2**20)}),
        "free",
        is_dangerous=True,
    ),
    _refuse_to_apply(
        "bomb",
        "takes all memory",
        change_manifest(_make(["insert", 100]), {"insert": _bomb(2**28)}),
        "not produce the promised file",
    ),
    _refuse_to_apply(
        "stream that is short",
        "reads what is not there",
        change_manifest(_make(["insert", 2**20]), {"insert": _bomb(100)}),
        "does not match its header",
    ),
    _refuse_to_apply(
        "stream of 2 GiB of window",
        "takes all memory",
        change_manifest(_make(["insert", 1000]), {"insert": _widen()}),
        "does not match its header",
    ),
    _refuse_to_apply(
        "no stream",
        "is not a stream",
        change_manifest(_make(["insert", 1000]), {"insert": b"x" * 50}),
        "does not match its header",
    ),
    _refuse_to_apply(
        "stream left out",
        "is not there",
        change_manifest(_make(["insert", 1000])),
        "does not match its header",
    ),
    _refuse_to_apply(
        "another digest",
        "is not what it says",
        change_manifest(lambda document: document["result"][0].update(sha256=_ANY)),
        "not produce the promised file",
    ),
    _refuse_to_apply(
        "another base", "is for another", change_manifest(_require_another), "not the model"
    ),
)
