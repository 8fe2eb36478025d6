"""Keys, certificates and files to try signing with."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from test_sign import save_certificate, save_private, save_public

from assertions import assert_told
from nhle_onnx.errors import InputRefusedError

NAMES = ("a.txt", "b.txt")


def write_keys(folder: Path) -> Path:
    """Good keys and others, as PEM files of a folder."""
    key, other, root = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    save_private(folder / "private", key)
    save_private(folder / "encrypted", key, b"secret")
    save_public(folder / "public", key)
    save_public(folder / "other", other)
    save_private(folder / "k1", ec.generate_private_key(ec.SECP256K1()))
    save_public(folder / "k1.public", ec.generate_private_key(ec.SECP256K1()))
    save_certificate(folder / "certificate", ("signer", "root"), key, root)
    save_certificate(folder / "root", ("root", "root"), root, root)
    save_certificate(folder / "stranger", ("root", "root"), other, other)
    save_certificate(folder / "second", ("second", "second"), other, other)
    for curve in (ec.SECP384R1(), ec.SECP521R1()):
        long = ec.generate_private_key(curve)
        save_private(folder / curve.name, long)
        save_public(folder / f"{curve.name}.public", long)
    return folder


def write_texts(folder: Path) -> Path:
    """Two files, and one that is not to be signed."""
    folder.mkdir()
    for name in (*NAMES, "z.txt"):
        (folder / name).write_text(name)
    return folder


def refuse(action: Callable[[], object], *fragments: object) -> InputRefusedError:
    with pytest.raises(InputRefusedError) as caught:
        action()
    assert_told(caught.value, *fragments)
    return caught.value
