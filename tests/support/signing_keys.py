"""Keys, certificates and files to try signing with."""

import base64
import datetime as dt
import json
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from nhle_onnx.release.low_s import lower

NAMES = ("a.txt", "b.txt")
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Keys(NamedTuple):
    """Key pairs and certificates, each a PEM file."""

    folder: Path

    def __getitem__(self, name: str) -> Path:  # type: ignore[override]
        return self.folder / f"{name}.pem"


def save_private(path: Path, key: Private, password: bytes | None = None) -> None:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))


def save_public(path: Path, key: Private) -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


def save_certificate(path: Path, names: tuple[str, str], key: Private, issuer: Private) -> None:
    """For `names[0]`, by `names[1]`, who holds the key `issuer`."""
    subject, authority = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in names
    )
    is_authority = subject == authority
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=authority)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .sign(issuer, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def rename_signed(bundle: bytes, old: str, new: str, keys: Keys) -> bytes:
    """Another name in what is signed, and signed again by the same key."""
    document = json.loads(bundle)
    envelope = document["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"]).decode().replace(old, new).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    kind = envelope["payloadType"]
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    private = serialization.load_pem_private_key(keys["private"].read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    signature = private.sign(message, ec.ECDSA(hashes.SHA256()))
    signature = lower(signature, private.curve)
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(document, separators=(",", ":")).encode()


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


def write_pair(folder: Path) -> tuple[Path, Path]:
    """A key to sign with, and its public one."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / "private.pem", folder / "public.pem"
    save_private(private, key)
    save_public(public, key)
    return private, public
