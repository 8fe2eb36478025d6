"""Files that another process exchanges between a check and a use: what was checked is used."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release import signature
from nhle_onnx.release.patch import container
from nhle_onnx.values.settings.patch import ApplySettings, CreateSettings
from nhle_onnx.values.signature import SigningKey
from nhle_onnx.workflows import patch_apply
from nhle_onnx.workflows.patch_create import create_patch
from support.shipped import LENET
from support.signing_keys import save_private, save_public


@pytest.fixture
def signed(tmp_path: Path, masked: Path) -> Path:
    """A folder with a signed patch, its key, and an unsigned patch to another result."""
    shutil.copy(masked, tmp_path / "edited.onnx")
    shutil.copy(LENET, tmp_path / "evil.onnx")
    for name in ("edited", "evil"):
        edited, out = tmp_path / f"{name}.onnx", tmp_path / f"{name}.nhlepatch"
        create_patch(CreateSettings(base=LENET, edited=edited, out=out))
    key = ec.generate_private_key(ec.SECP256R1())
    save_private(tmp_path / "private.pem", key)
    save_public(tmp_path / "public.pem", key)
    patch = tmp_path / "edited.nhlepatch"
    key_file = SigningKey(private_key=tmp_path / "private.pem")
    signature.sign_files([patch], tmp_path / "edited.nhlepatch.sig", key_file)
    return patch


@pytest.mark.parametrize("before", ["read", "signature", "digest", "open", "apply"])
@pytest.mark.parametrize("way", ["renamed", "overwritten"])
def test_an_unsigned_patch_is_never_applied(
    signed: Path, monkeypatch: pytest.MonkeyPatch, before: str, way: str
) -> None:
    place, name = {
        "read": (patch_apply, "read_regular"),
        "signature": (signature, "check_signature"),
        "digest": (signature, "digest_regular"),
        "open": (patch_apply, "open_patch"),
        "apply": (patch_apply, "apply_patch"),
    }[before]
    function = getattr(place, name)

    def exchange(*arguments: object, **values: object) -> object:
        evil = signed.with_name("evil.nhlepatch")
        if way == "renamed" and evil.exists():
            evil.rename(signed)
        elif evil.exists():
            signed.write_bytes(evil.read_bytes())
        return function(*arguments, **values)

    monkeypatch.setattr(place, name, exchange)
    out = signed.with_name("out.onnx")
    settings = ApplySettings(
        base=LENET, patch=signed, out=out, trusted=signed.with_name("public.pem")
    )
    try:
        patch_apply.apply_patch_file(settings)
    except InputRefusedError:
        assert not out.exists()
    else:
        assert out.read_bytes() == signed.with_name("edited.onnx").read_bytes()
    assert container.open_patch(signed).manifest.result[0].name == "evil.onnx"  # it was exchanged
