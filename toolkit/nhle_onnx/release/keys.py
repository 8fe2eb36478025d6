"""Keys and certificates as PEM files. Needs the extra `sign`."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nhle_onnx.errors import InputRefusedError, first_line, refuse_unreadable
from nhle_onnx.graph.regular_files import read_regular
from nhle_onnx.values.signature import SigningKey

Loaded = TypeVar("Loaded")

_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def digest_public_key(key: SigningKey) -> str:
    """Return the SHA-256 of the public half of a key, as DER."""
    public = load_private(key).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def load_private(key: SigningKey) -> ec.EllipticCurvePrivateKey:
    """Load a key to sign with."""
    password = key.password.encode() if key.password else None
    private = load_pem(
        key.private_key,
        lambda pem: serialization.load_pem_private_key(pem, password),
        "private key",
    )
    check_curve(private, key.private_key)
    return cast("ec.EllipticCurvePrivateKey", private)


def load_pem(path: Path, load: Callable[[bytes], Loaded], kind: str) -> Loaded:
    """Read a PEM file with `load`. Raises InputRefusedError where it holds no `kind`."""
    try:
        return load(read_regular(path))
    except OSError as error:
        raise refuse_unreadable(path, error, f"Give the PEM file of a {kind}.") from error
    except TypeError as error:  # a missing password, or an unnecessary one
        message = f"{path}: {first_line(error)}"
        raise InputRefusedError(
            message, remedy="The variable NHLE_ONNX_KEY_PASSWORD holds a key's password."
        ) from error
    except Exception as error:
        message = f"{path} cannot be read as a {kind}: {first_line(error)}"
        raise InputRefusedError(message, remedy=f"Give the PEM file of a {kind}.") from error


def check_curve(key: object, path: Path) -> None:
    """Raise InputRefusedError where a key is on no curve that signatures may use."""
    elliptic = ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey
    if not isinstance(key, elliptic) or key.curve.name not in _CURVES:
        message = f"{path} holds a key that is not P-256, P-384 or P-521"
        raise InputRefusedError(
            message, remedy="Make one with `openssl ecparam -name prime256v1 -genkey -noout`."
        )
