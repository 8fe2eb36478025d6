"""The kit as one page.

It contains everything, as a browser does not read other files beside a page opened from disk.
"""

import base64
import gzip
import hashlib
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from nhle_onnx.release.kit.vendored import read_manifest, read_runner, read_web_file

_MOST_BYTES = 256 * 2**20  # browsers' strings are limited to 512 MiB; base64 adds a third
TRIAL = "{{ trial }}"  # in a runner: the model that tests whether a processor saturates
_LEVEL = 6  # of gzip; higher levels cost seconds and gain a percent
_RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
_ENVIRONMENT = Environment(
    loader=PackageLoader("nhle_onnx.release.kit", "runners"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def can_hold(data: Mapping[str, bytes]) -> bool:
    """Whether a page with all these files can be opened."""
    return sum(map(len, data.values())) <= _MOST_BYTES


def render_kit_page(data: Mapping[str, bytes], trial: str) -> bytes:
    """Write the page for a kit's files by name. Only its script shows or runs their content."""
    runners = "\n".join(map(read_runner, ("judge.js", "page.js")))
    script = f"\n{runners}".replace(TRIAL, trial)
    blocks = {**data, **{name: read_web_file(name) for name in _RUNTIME}}
    digest = hashlib.sha256(script.encode()).digest()
    page = _ENVIRONMENT.get_template("index.html.j2").render(
        script=script,
        script_sha256=base64.b64encode(digest).decode(),
        version=read_manifest()["version"],
        licence=read_web_file("LICENSE").decode("utf-8"),
        blocks={name: _encode(block) for name, block in blocks.items()},
    )
    return page.encode()


def _encode(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, _LEVEL, mtime=0)).decode()
