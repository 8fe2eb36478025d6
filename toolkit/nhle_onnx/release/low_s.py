"""The one form of an ECDSA signature that is accepted.

With (r, s), (r, -s) is valid as well, and anyone can turn one into the other: only the smaller
counts.
"""

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)


def lower(signature: bytes, curve: EllipticCurve) -> bytes:
    """Return the accepted form of a signature, as DER."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, curve.group_order - s))
