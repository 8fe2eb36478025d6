"""Signatures in OpenSSF's model signing format: a Sigstore bundle over file names and digests.

Needs the extra `sign`. Does not use the network.
"""

import contextlib
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from model_signing import hashing, signing, verifying
from model_signing.manifest import Manifest
from sigstore_models.bundle.v1 import Bundle
from sigstore_models.intoto import Envelope, Signature

from nhle_onnx.errors import InputRefusedError, first_line
from nhle_onnx.graph.regular_files import read_regular
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.hints import hint
from nhle_onnx.release.keys import check_curve, load_pem, load_private
from nhle_onnx.release.low_s import lower
from nhle_onnx.values.signature import SigningKey, TrustedKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_ENVELOPE = "dsseEnvelope"
_DISTRUST = "Do not use these files; get them again, with their signature, from their source."


def make_bundle(
    folder: Path, names: Iterable[str], key: SigningKey
) -> tuple[bytes, dict[str, str]]:
    """Sign the named files of a folder; return the bundle, and SHA-256 by file name."""
    files = _NamedFiles(folder, names)
    config = signing.Config().set_hashing_config(files)
    curve = load_private(key).curve
    if key.certificate is None:
        _sign_with_key(config, key)
    else:
        _sign_with_certificate(config, key, key.certificate)
    with open_scratch() as scratch:
        path = scratch / "signature"
        config.sign(folder, path)
        bundle = Bundle.from_json(path.read_bytes())
    signature = _get_signature(bundle)
    signature.sig = lower(signature.sig, curve)
    return bundle.to_json().encode(), files.digests


def _sign_with_key(config: signing.Config, key: SigningKey) -> None:
    password = key.password.encode() if key.password else None
    # annotated as text, but takes bytes
    config.use_elliptic_key_signer(
        private_key=key.private_key, password=cast("str | None", password)
    )


def _sign_with_certificate(config: signing.Config, key: SigningKey, certificate: Path) -> None:
    chain = key.chain or (certificate,)  # it does not take an empty one
    for path in (certificate, *chain):
        load_pem(path, x509.load_pem_x509_certificates, "certificate")
    try:
        config.use_certificate_signer(
            private_key=key.private_key, signing_certificate=certificate, certificate_chain=chain
        )
    except ValueError as error:
        message = f"{certificate} is not a certificate for {key.private_key}"
        raise InputRefusedError(message, remedy="Give the certificate for this key.") from error
    except TypeError as error:
        message = f"{key.private_key} is encrypted, which model-signing cannot read here"
        raise InputRefusedError(
            message, remedy="With a certificate, give a key without a password."
        ) from error


def read_bundle(content: bytes, name: str, trusted: TrustedKey) -> dict[str, str]:
    """Check the signature itself, and return SHA-256 by file name.

    Raises InputRefusedError where it was made with another key, or changed in any byte.
    """
    bundle = _parse(content, name)
    asked = _SignedFiles()
    config = verifying.Config().set_hashing_config(asked)
    _trust(config, bundle, name, trusted)
    with open_scratch() as scratch, contextlib.redirect_stdout(io.StringIO()):
        path = scratch / "signature"
        path.write_bytes(content)
        try:
            config.verify(scratch, path)
            _check_chain(bundle, trusted)
            _check_form(bundle, trusted)
        except Exception as error:  # errors of three libraries, without a common base class
            message = f"{name} was not made with the key of {trusted}, or was changed"
            raise InputRefusedError(f"{message}: {first_line(error)}", remedy=_DISTRUST) from error
    return asked.list_digests(name)


class _NamedFiles(hashing.Config):
    """Hashes only the named files of a folder, and keeps their digests."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.set_ignored_paths(paths=(), ignore_git_paths=False)
        self._files = [folder / name for name in names]
        self.digests: dict[str, str] = {}

    def hash(
        self,
        model_path: hashing.PathLike,
        *,
        files_to_hash: object = None,  # noqa: ARG002
    ) -> Manifest:
        """Hash the files as if the folder held nothing else."""
        manifest = super().hash(model_path, files_to_hash=self._files)
        self.digests = {
            file.identifier: file.digest.digest_hex for file in manifest.resource_descriptors()
        }
        return manifest


class _SignedFiles(hashing.Config):
    """Takes the place of the files on disk in model-signing's comparison.

    model-signing compares only after it has verified the signature. This object keeps the signed
    digests, for our own comparison.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._signed: Manifest | None = None

    def hash(self, model_path: object, *, files_to_hash: object = None) -> Manifest:  # noqa: ARG002
        """Return the object that is compared next."""
        return cast("Manifest", self)

    def __eq__(self, signed: object) -> bool:
        self._signed = cast("Manifest", signed)
        return True

    __hash__ = hashing.Config.__hash__

    def list_digests(self, name: str) -> dict[str, str]:
        """Return SHA-256 by file name."""
        signed = list(self._signed.resource_descriptors()) if self._signed else []
        if not signed or any(file.digest.algorithm != "sha256" for file in signed):
            message = f"{name} does not hold SHA-256 digests of whole files"
            raise InputRefusedError(message, remedy="Sign the files with `nhle-onnx sign`.")
        return {file.identifier: file.digest.digest_hex for file in signed}


def _parse(content: bytes, name: str) -> Bundle:
    """Parse a bundle, and refuse any file with more content or another encoding. The signature
    covers only a part of the file.
    """
    try:
        document = json.loads(content)
        bundle = Bundle.from_dict(document)
        is_plain = (
            bundle.to_json().encode() == content and len(document[_ENVELOPE]["signatures"]) == 1
        )
    except Exception as error:
        message = f"{name} is not a signature, or was changed: {first_line(error)}"
        raise InputRefusedError(message, remedy=_DISTRUST) from error
    if not is_plain:
        message = f"{name} was changed: it is not encoded as signatures are"
        raise InputRefusedError(message, remedy=_DISTRUST)
    return bundle


def _trust(config: verifying.Config, bundle: Bundle, name: str, trusted: TrustedKey) -> None:
    has_certificate = bundle.verification_material.x509_certificate_chain is not None
    if has_certificate is not bool(trusted.chain):
        made, option = (
            ("a certificate", "{chain=ROOT.pem}")
            if has_certificate
            else ("a key without certificate", "{key=PUBLIC.pem}")
        )
        message = f"{name} was made with {made}"
        raise InputRefusedError(message, remedy=hint(f"Check it with {option}."))
    if trusted.public_key:
        public = load_pem(trusted.public_key, serialization.load_pem_public_key, "public key")
        check_curve(public, trusted.public_key)
        config.use_elliptic_key_verifier(public_key=trusted.public_key)
        return
    for path in trusted.chain:
        load_pem(path, x509.load_pem_x509_certificates, "certificate")
    config.use_certificate_verifier(certificate_chain=trusted.chain)


def _check_chain(bundle: Bundle, trusted: TrustedKey) -> None:
    """Check that every certificate in the bundle is intact, also those that were not needed."""
    given = _list_certificates(bundle)
    roots = [
        root
        for path in trusted.chain
        for root in x509.load_pem_x509_certificates(read_regular(path))
    ]
    for certificate in given:
        if not _counts_every_bit(certificate):
            raise ValueError("a certificate in it has unused bits in its signature")
        if not any(_is_issued(certificate, issuer) for issuer in (*given, *roots)):
            raise ValueError("a certificate in it was not issued by any of the others")


def _check_form(bundle: Bundle, trusted: TrustedKey) -> None:
    """Check that the signature is the form that `sign` writes, of the two that are valid."""
    if trusted.public_key:
        public = serialization.load_pem_public_key(read_regular(trusted.public_key))
    else:
        public = _list_certificates(bundle)[0].public_key()
    given = _get_signature(bundle).sig
    if given != lower(given, cast("EllipticCurvePublicKey", public).curve):
        raise ValueError("it is the second valid form of a signature; sign the files again")


def _get_signature(bundle: Bundle) -> Signature:
    return cast("Envelope", bundle.dsse_envelope).signatures[0]


def _list_certificates(bundle: Bundle) -> list[x509.Certificate]:
    chain = bundle.verification_material.x509_certificate_chain
    parts = chain.certificates if chain else ()
    return [x509.load_der_x509_certificate(part.raw_bytes) for part in parts]


def _counts_every_bit(certificate: x509.Certificate) -> bool:
    """Check that a certificate's signature has no unused bits, a count that no signature covers."""
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    return encoded.endswith(b"\0" + certificate.signature)


def _is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
