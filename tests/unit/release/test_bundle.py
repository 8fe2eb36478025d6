"""Signatures over names and digests: who can make one, and for whom it is good."""

import base64
import hashlib
import json
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate

from nhle_onnx.hints import word
from nhle_onnx.release.bundle import make_bundle, read_bundle
from nhle_onnx.values.signature import SigningKey, TrustedKey
from support.assertions import assert_refuses
from support.signing_keys import (
    NAMES,
    Keys,
    rename_signed,
    save_certificate,
    write_keys,
    write_texts,
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "files")


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.mark.parametrize("name", ["private", "secp384r1", "secp521r1"])
def test_a_bundle_holds_the_digests_of_the_named_files(name: str, folder: Path, keys: Path) -> None:
    content, digests = make_bundle(folder, NAMES, SigningKey(private_key=keys / name))
    assert digests == {each: digest(each) for each in NAMES}
    public = keys / ("public" if name == "private" else f"{name}.public")
    assert read_bundle(content, "s.sig", TrustedKey(public_key=public)) == digests
    assert json.loads(content)["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    assert_refuses(
        lambda: read_bundle(content, "s.sig", TrustedKey(public_key=keys / "other")),
        f"s.sig was not made with the key of {keys / 'other'}, or was changed: ",
    )


def test_a_certified_key_signs_for_its_root(folder: Path, keys: Path) -> None:
    """With the chain, or the certificate alone; the bundle holds what it was given."""
    for chain in ((keys / "root",), ()):
        key = SigningKey(
            private_key=keys / "private", certificate=keys / "certificate", chain=chain
        )
        content, digests = make_bundle(folder, NAMES, key)
        assert read_bundle(content, "s.sig", TrustedKey(chain=(keys / "root",))) == digests
        both = TrustedKey(chain=(keys / "second", keys / "root"))
        assert read_bundle(content, "s.sig", both) == digests
        read = partial(read_bundle, content, "s.sig")
        error = assert_refuses(
            lambda read=read: read(TrustedKey(chain=(keys / "stranger",))),
            "s.sig was not made with the key of ",
            "stranger, or was changed: ",
        )
        assert "get them again" in error.remedy
        error = assert_refuses(
            lambda read=read: read(TrustedKey(public_key=keys / "public")),
            "s.sig was made with a certificate",
        )
        assert word(error.remedy, "flags") == "Check it with --chain ROOT.pem."
    plain, _ = make_bundle(folder, NAMES, SigningKey(private_key=keys / "private"))
    error = assert_refuses(
        lambda: read_bundle(plain, "s.sig", TrustedKey(chain=(keys / "root",))),
        "s.sig was made with a key without certificate",
    )
    assert word(error.remedy, "flags") == "Check it with --key PUBLIC.pem."


def test_certificates_that_belong_to_nothing_are_noticed(folder: Path, keys: Path) -> None:
    key = SigningKey(
        private_key=keys / "private", certificate=keys / "certificate", chain=(keys / "root",)
    )
    document = json.loads(make_bundle(folder, NAMES, key)[0])
    lone = folder / "lone"
    save_certificate(
        lone, ("lone", "nobody"), *(ec.generate_private_key(ec.SECP256R1()) for _ in "ab")
    )
    raw = load_pem_x509_certificate(lone.read_bytes()).public_bytes(serialization.Encoding.DER)
    chain = document["verificationMaterial"]["x509CertificateChain"]["certificates"]
    chain.append({"rawBytes": base64.b64encode(raw).decode()})
    assert_refuses(
        lambda: read_bundle(
            json.dumps(document).encode(), "s.sig", TrustedKey(chain=(keys / "root",))
        ),
        "was changed: ",
    )


def test_a_certificate_whose_last_bits_do_not_count_is_noticed(folder: Path, keys: Path) -> None:
    """Signatures end in a count of bits to leave out, which nobody signed."""
    private = ec.generate_private_key(ec.SECP256R1())
    signature = b"\1"
    while signature[-1] & 1:  # bits left out must be zero
        save_certificate(keys / "even", ("root", "root"), private, private)
        certificate = load_pem_x509_certificate((keys / "even").read_bytes())
        signature = certificate.signature
    key = SigningKey(
        private_key=keys / "private", certificate=keys / "certificate", chain=(keys / "root",)
    )
    document = json.loads(make_bundle(folder, NAMES, key)[0])
    chain = document["verificationMaterial"]["x509CertificateChain"]["certificates"]
    raw = bytearray(certificate.public_bytes(serialization.Encoding.DER))
    trusted = TrustedKey(chain=(keys / "root",))

    def read() -> None:
        chain[1:] = [{"rawBytes": base64.b64encode(raw).decode()}]
        read_bundle(json.dumps(document).encode(), "s.sig", trusted)

    read()
    raw[-len(signature) - 1] += 1
    assert_refuses(read, "was changed: ")


@pytest.mark.parametrize(
    ("fields", "reason", "remedy"),
    [
        ({"private_key": "none"}, "none cannot be read: No such file", "PEM file of a private key"),
        (
            {"private_key": "public"},
            "public cannot be read as a private key: ", "PEM file of a private key",
        ),
        (
            {"private_key": "encrypted"},
            "encrypted: Password was not given", "NHLE_ONNX_KEY_PASSWORD",
        ),
        (
            {"private_key": "private", "password": "one too many"},
            "private: Password was given but", "NHLE_ONNX_KEY_PASSWORD",
        ),
        (
            {"private_key": "k1"},
            "k1 holds a key that is not P-256, P-384 or P-521", "openssl ecparam",
        ),
        (
            {"private_key": "private", "certificate": "none"},
            "none cannot be read: No such file", "PEM file of a certificate",
        ),
        (
            {"private_key": "private", "certificate": "public"},
            "public cannot be read as a certificate", "PEM file of a certificate",
        ),
        (
            {"private_key": "private", "certificate": "root"},
            "root is not a certificate for ", "for this key",
        ),
        (
            {"private_key": "private", "certificate": "certificate", "chain": ("public",)},
            "public cannot be read as a certificate", "PEM file of a certificate",
        ),
        (
            {"private_key": "encrypted", "password": "secret", "certificate": "certificate"},
            "encrypted is encrypted, which model-signing cannot read here", "without a password",
        ),
    ],
)  # fmt: skip
def test_keys_that_sign_nothing(
    fields: dict[str, str], reason: str, remedy: str, folder: Path, keys: Path
) -> None:
    paths = {
        name: keys / value if isinstance(value, str) else tuple(keys / each for each in value)
        for name, value in fields.items()
        if name != "password"
    }
    key = SigningKey(**paths, password=fields.get("password"))
    error = assert_refuses(lambda: make_bundle(folder, NAMES, key), reason)
    assert remedy in error.remedy
    assert error.reason.startswith(str(keys))


def test_an_encrypted_key_signs(folder: Path, keys: Path) -> None:
    key = SigningKey(private_key=keys / "encrypted", password="secret")  # noqa: S106 - a test's
    content, digests = make_bundle(folder, NAMES, key)
    assert read_bundle(content, "s", TrustedKey(public_key=keys / "public")) == digests


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("none", "none cannot be read: No such file", "PEM file of a public key"),
        ("private", "private cannot be read as a public key: ", "PEM file of a public key"),
        ("k1.public", "k1.public holds a key that is not", "openssl ecparam"),
    ],
)
def test_keys_that_vouch_for_nothing(
    name: str, reason: str, remedy: str, folder: Path, keys: Path
) -> None:
    content, _ = make_bundle(folder, NAMES, SigningKey(private_key=keys / "private"))
    trusted = TrustedKey(public_key=keys / name)
    assert remedy in assert_refuses(lambda: read_bundle(content, "s.sig", trusted), reason).remedy


def test_digests_of_another_kind_are_not_compared(folder: Path, keys: Path) -> None:
    content, _ = make_bundle(folder, NAMES, SigningKey(private_key=keys / "private"))
    names = ('"algorithm": "sha256"', '"algorithm": "blake2b"')
    (folder / "private.pem").write_bytes((keys / "private").read_bytes())
    other = rename_signed(content, *names, Keys(folder))
    error = assert_refuses(
        lambda: read_bundle(other, "s.sig", TrustedKey(public_key=keys / "public")),
        "s.sig does not hold SHA-256 digests of whole files",
    )
    assert error.remedy == "Sign the files with `nhle-onnx sign`."


def test_what_is_no_bundle(folder: Path, keys: Path) -> None:
    content, _ = make_bundle(folder, NAMES, SigningKey(private_key=keys / "private"))
    document = json.loads(content)
    cases = {
        b"no json": "s.sig is not a signature, or was changed: ",
        b"{}": "s.sig is not a signature, or was changed: ",
        json.dumps(document | {"more": 1}).encode(): "s.sig ",
    }
    for each, reason in cases.items():
        error = assert_refuses(
            lambda each=each: read_bundle(each, "s.sig", TrustedKey(public_key=keys / "public")),
            reason,
        )
        assert "get them again" in error.remedy
        assert "\n" not in error.reason
