"""Files that were signed together: good ones pass, and no byte of any of them can change."""

import base64
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from onnx import helper, numpy_helper

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.bundle import make_bundle
from nhle_onnx.release.sidecars import is_inside, list_sidecars
from nhle_onnx.release.signature import check_signature, sign_files
from nhle_onnx.values.signature import SigningKey, TrustedKey
from support.assertions import assert_refused
from support.graphs import make_model, place_outside
from support.runs import Nhle
from support.shipped import LENET
from support.signing_keys import (
    Keys,
    rename_signed,
    save_certificate,
    save_private,
    save_public,
)

FILES = ("model.onnx", "model.nhlepatch", "model.report.json")
ALL = ("model.nhlepatch", "model.onnx", "model.onnx.data", "model.report.json")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    made = Keys(tmp_path_factory.mktemp("keys"))
    key, other, root = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    save_private(made["private"], key)
    save_private(made["encrypted"], key, b"secret")
    save_public(made["public"], key)
    save_public(made["other"], other)
    save_private(made["rsa"], rsa.generate_private_key(65537, 2048))
    save_private(made["curve"], ec.generate_private_key(ec.SECP256K1()))
    save_certificate(made["certificate"], ("signer", "root"), key, root)
    save_certificate(made["root"], ("root", "root"), root, root)
    save_certificate(made["stranger"], ("root", "root"), other, other)
    return made


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A model that keeps its weights outside, a stand-in for its patch, and its report."""
    folder = tmp_path / "release"
    folder.mkdir()
    onnx.save_model(
        onnx.load(LENET), folder / "model.onnx", save_as_external_data=True,
        location="model.onnx.data", size_threshold=0,
    )  # fmt: skip
    (folder / "model.nhlepatch").write_bytes(np.random.default_rng(0).bytes(300))
    (folder / "model.report.json").write_text('{"schema": "nhle-onnx/report/v1"}\n')
    (folder / "unrelated.txt").write_text("not signed\n")
    return folder


@pytest.fixture
def signed(release: Path, keys: Keys) -> Path:
    """The same, signed."""
    paths = [release / name for name in FILES]
    sign_files(paths, release / "model.onnx.sig", SigningKey(private_key=keys["private"]))
    return release


def check(folder: Path, trusted: TrustedKey, names: tuple[str, ...] = FILES) -> list[str]:
    paths = [folder / name for name in names]
    return [file.name for file in check_signature(paths, folder / "model.onnx.sig", trusted)]


def test_signed_files_are_intact(nhle: Nhle, release: Path, keys: Keys) -> None:
    paths = [release / name for name in FILES]
    result = nhle("sign", *paths, "--key", keys["private"])
    assert result.code == 0, result.err
    signature = release / "model.onnx.sig"
    assert result.out.splitlines() == [
        *(f"signed   {name}" for name in ALL),
        f"by       {signature}",
    ]
    (release / "unrelated.txt").write_text("changed, and nobody minds\n")
    result = nhle("check-signature", *paths, "--key", keys["public"])
    assert result.code == 0, result.err
    assert result.out.splitlines()[:-1] == [f"intact   {name}" for name in ALL]


def test_json_lists_the_files_that_are_intact(nhle: Nhle, signed: Path, keys: Keys) -> None:
    model = signed / "model.onnx"
    document = json.loads(nhle("check-signature", model, "--key", keys["public"], "--json").out)
    assert document["schema"] == "nhle-onnx/signature/v1"
    assert document["state"] == "intact"
    assert [file["name"] for file in document["files"]] == list(ALL)


def test_files_moved_together_stay_signed(signed: Path, keys: Keys, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    signed.rename(moved)
    assert check(moved, TrustedKey(public_key=keys["public"])) == list(ALL)


@pytest.mark.usefixtures("no_network")
def test_signing_and_checking_use_no_network(nhle: Nhle, release: Path, keys: Keys) -> None:
    model = release / "model.onnx"
    assert nhle("sign", model, "--key", keys["private"]).code == 0
    assert nhle("check-signature", model, "--key", keys["public"]).code == 0


@pytest.mark.parametrize("name", ALL)
def test_a_changed_byte_is_caught(signed: Path, keys: Keys, name: str) -> None:
    """At every byte of a small file, and at a hundred places of a large one."""
    path = signed / name
    content = bytearray(path.read_bytes())
    for index in np.unique(np.linspace(0, len(content) - 1, 100).astype(int)):
        content[index] ^= 1 << (index % 8)
        path.write_bytes(content)
        with pytest.raises(InputRefusedError, match=rf"{name} was changed"):
            check(signed, TrustedKey(public_key=keys["public"]))
        content[index] ^= 1 << (index % 8)
    for other in (content[:-1], content + b"\n", b""):
        path.write_bytes(other)
        with pytest.raises(InputRefusedError, match=rf"{name} was changed"):
            check(signed, TrustedKey(public_key=keys["public"]))


def find_harmless_changes(signature: Path, trusted: TrustedKey) -> list[int]:
    """Bytes of a signature, of every fifth, that can be changed without being caught."""
    content = bytearray(signature.read_bytes())
    passed = []
    for index in range(0, len(content), 5):
        content[index] ^= 1 << (index % 7)
        signature.write_bytes(content)
        content[index] ^= 1 << (index % 7)
        try:
            check(signature.parent, trusted, ("model.onnx",))
        except InputRefusedError:
            continue
        passed.append(index)
    return passed


def test_a_changed_byte_of_the_signature_is_caught(signed: Path, keys: Keys) -> None:
    trusted = TrustedKey(public_key=keys["public"])
    assert find_harmless_changes(signed / "model.onnx.sig", trusted) == []


def test_a_changed_byte_of_a_certificate_is_caught(release: Path, keys: Keys) -> None:
    key = SigningKey(
        private_key=keys["private"], certificate=keys["certificate"], chain=(keys["root"],)
    )
    signature = release / "model.onnx.sig"
    sign_files([release / "model.onnx"], signature, key)
    trusted = TrustedKey(chain=(keys["root"],))
    assert check(release, trusted, ("model.onnx",)) == ["model.onnx", "model.onnx.data"]
    assert find_harmless_changes(signature, trusted) == []


@pytest.mark.parametrize("has_certificate", [False, True])
def test_the_second_form_of_a_signature_is_refused(
    release: Path, keys: Keys, *, has_certificate: bool
) -> None:
    """Whoever has (r, s) can write (r, n - s), which is as valid by itself."""
    certificate, chain = (keys["certificate"], (keys["root"],)) if has_certificate else (None, ())
    key = SigningKey(private_key=keys["private"], certificate=certificate, chain=chain)
    trusted = TrustedKey(chain=chain, public_key=None if has_certificate else keys["public"])
    path = release / "model.onnx.sig"
    for _ in range(4):  # half of the signatures come in either form
        sign_files([release / "model.onnx"], path, key, force=True)
        assert check(release, trusted, ("model.onnx",))
        document = json.loads(path.read_text())
        signature = document["dsseEnvelope"]["signatures"][0]
        r, s = decode_dss_signature(base64.b64decode(signature["sig"]))
        other = encode_dss_signature(r, ec.SECP256R1().group_order - s)
        signature["sig"] = base64.b64encode(other).decode()
        path.write_text(json.dumps(document, separators=(",", ":")))
        with pytest.raises(InputRefusedError, match="second valid form"):
            check(release, trusted, ("model.onnx",))


def test_missing_and_additional_files_are_refused(nhle: Nhle, signed: Path, keys: Keys) -> None:
    command = ("check-signature", signed / "model.onnx")
    trust = ("--key", keys["public"])
    assert_refused(nhle(*command, signed / "unrelated.txt", *trust), 3, "unrelated.txt was not")
    (signed / "model.report.json").unlink()
    assert_refused(nhle(*command, *trust), 3, "model.report.json was signed and is missing")
    assert nhle(*command, *trust, "--partial").code == 0
    (signed / "model.onnx.data").write_bytes(b"other weights")
    assert_refused(nhle(*command, *trust, "--partial"), 3, "model.onnx.data was changed")
    (signed / "model.onnx.data").unlink()
    assert_refused(nhle(*command, *trust, "--partial"), 3, "model.onnx.data was signed and is")


def test_swapped_files_are_refused(nhle: Nhle, signed: Path, keys: Keys) -> None:
    """Two good files under each other's name are not what was signed."""
    one, two = signed / "model.nhlepatch", signed / "model.report.json"
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    result = nhle("check-signature", signed / "model.onnx", "--key", keys["public"])
    assert_refused(result, 3, "model.nhlepatch was changed; model.report.json was changed")


def test_another_key_is_not_trusted(nhle: Nhle, signed: Path, keys: Keys) -> None:
    result = nhle("check-signature", signed / "model.onnx", "--key", keys["other"])
    assert_refused(result, 3, "was not made with the key of", "other.pem")
    result = nhle("check-signature", signed / "model.onnx", "--chain", keys["root"])
    assert_refused(result, 3, "without certificate", "--key PUBLIC.pem")


def test_a_certificate_is_trusted_by_its_root_alone(nhle: Nhle, release: Path, keys: Keys) -> None:
    model, signature = release / "model.onnx", release / "certified.sig"
    command = ("sign", model, "--key", keys["private"], "--certificate", keys["certificate"])
    assert nhle(*command, "--chain", keys["root"], "-o", signature).code == 0
    check_command = ("check-signature", model, "--signature", signature)
    assert nhle(*check_command, "--chain", keys["root"]).code == 0
    result = nhle(*check_command, "--chain", keys["stranger"])
    assert_refused(result, 3, "was not made with the key of", "stranger.pem")
    assert_refused(nhle(*check_command, "--key", keys["public"]), 3, "made with a certificate")
    command = ("sign", model, "--key", keys["private"], "--certificate", keys["root"])
    assert_refused(nhle(*command), 3, "root.pem is not a certificate for")
    assert_refused(nhle("sign", model, "--key", keys["private"], "--chain", keys["root"]), 2)


def test_a_name_outside_the_folder(release: Path, keys: Keys) -> None:
    """Even who is trusted cannot have files elsewhere read."""
    secret = release.parent / "secret.txt"
    secret.write_text("secret")
    key = SigningKey(private_key=keys["private"])
    content, _ = make_bundle(release, ["model.onnx", "model.onnx.data"], key)
    inside, _ = make_bundle(release.parent, ["secret.txt"], key)
    for name in ("../secret.txt", str(secret)):
        (release / "model.onnx.sig").write_bytes(rename_signed(inside, "secret.txt", name, keys))
        with pytest.raises(InputRefusedError, match=r"secret.txt lies outside the folder"):
            check_signature(
                [release / "model.onnx"],
                release / "model.onnx.sig",
                TrustedKey(public_key=keys["public"]),
            )
    (release / "model.onnx.sig").write_bytes(content)
    assert check(release, TrustedKey(public_key=keys["public"]), ("model.onnx",))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("weights.bin", True), ("sub/weights.bin", True), ("é ü.bin", True), ("", False),
        (".", False), ("..", False), ("../weights.bin", False), ("sub/../../weights.bin", False),
        ("/etc/passwd", False), ("C:\\weights.bin", False), ("..\\weights.bin", False),
    ],
)  # fmt: skip
def test_names_that_stay_inside(name: str, expected: bool) -> None:  # noqa: FBT001
    assert is_inside(name) is expected


def test_a_link_is_refused(nhle: Nhle, signed: Path, keys: Keys, tmp_path: Path) -> None:
    """A model's weights would be read from the folder where it leads."""
    model = signed / "model.onnx"
    shutil.copy(model, tmp_path / "model.onnx")
    model.unlink()
    model.symlink_to(tmp_path / "model.onnx")
    result = nhle("check-signature", model, "--key", keys["public"])
    assert_refused(result, 3, "model.onnx is a link")
    assert_refused(nhle("sign", model, "--key", keys["private"], "--force"), 3, "is a link")


def save_model(path: Path, *locations: str) -> Path:
    """Weights outside: of an initializer, of an attribute, and of a graph within a node."""
    one, two, three = (
        place_outside(numpy_helper.from_array(np.zeros(4, np.float32), name), location=location)
        for name, location in zip("abc", locations, strict=True)
    )
    inner = helper.make_graph([], "inner", [], [], [three])
    nodes = [
        helper.make_node("Constant", [], ["b"], value=two),
        helper.make_node("If", ["a"], ["d"], then_branch=inner, else_branch=inner),
    ]
    path.write_bytes(make_model(nodes, {}, {}, [one]).SerializeToString())
    return path


def test_sidecars_are_found_wherever_they_are_named(tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.onnx", "a.bin", "./b.bin", "sub/c.bin")
    assert sorted(list_sidecars(path)) == ["a.bin", "b.bin", "sub/c.bin"]
    assert list_sidecars(LENET) == ()
    assert list_sidecars(LENET.with_name("labels.txt")) == ()


@pytest.mark.parametrize("location", ["../a.bin", "/etc/hostname", ""])
def test_a_model_with_weights_elsewhere_is_refused(
    nhle: Nhle, tmp_path: Path, keys: Keys, location: str
) -> None:
    path = save_model(tmp_path / "model.onnx", "a.bin", "b.bin", location)
    result = nhle("sign", path, "--key", keys["private"])
    assert_refused(result, 3, "model.onnx", "outside its folder")
    assert not (tmp_path / "model.onnx.sig").exists()


def test_files_that_cannot_be_signed_are_named(nhle: Nhle, release: Path, keys: Keys) -> None:
    key = ("--key", keys["private"])
    model = release / "model.onnx"
    assert_refused(nhle("sign", release, *key), 3, "is a folder")
    assert_refused(nhle("sign", release / "absent.json", *key), 3, "absent.json does not exist")
    assert_refused(nhle("sign", model, LENET, *key), 3, "several folders")
    assert_refused(nhle("sign", model, "-o", model, "--force", *key), 3, "be signed itself")
    (release / "broken.onnx").write_bytes(b"no model")
    assert_refused(nhle("sign", release / "broken.onnx", *key), 3, "is not an ONNX model")
    (release / "model.onnx.data").unlink()
    assert_refused(nhle("sign", model, *key), 3, "model.onnx.data does not exist")
    assert not list(release.glob("*.sig"))


def test_a_signature_is_not_replaced(nhle: Nhle, signed: Path, keys: Keys) -> None:
    command = ("sign", signed / "model.onnx", "--key", keys["private"])
    before = (signed / "model.onnx.sig").read_bytes()
    assert_refused(nhle(*command), 3, "model.onnx.sig already exists", "--force")
    assert (signed / "model.onnx.sig").read_bytes() == before
    assert nhle(*command, "--force").code == 0
    assert (signed / "model.onnx.sig").read_bytes() != before


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("public", "public.pem cannot be read as a private key"),
        ("root", "root.pem cannot be read as a private key"),
        ("absent", "absent.pem cannot be read: No such file"),
        ("encrypted", "Password was not given"),
        ("rsa", "not P-256"),
        ("curve", "not P-256"),
    ],
)
def test_private_keys_of_the_wrong_kind(
    nhle: Nhle, release: Path, keys: Keys, name: str, fragment: str
) -> None:
    result = nhle("sign", release / "model.onnx", "--key", keys[name])
    assert_refused(result, 3, fragment)
    assert not list(release.glob("*.sig"))


def test_an_encrypted_key_signs_with_its_password(
    nhle: Nhle, release: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = release / "model.onnx"
    monkeypatch.setenv("NHLE_ONNX_KEY_PASSWORD", "wrong")
    assert_refused(nhle("sign", model, "--key", keys["encrypted"]), 3, "Incorrect password")
    monkeypatch.setenv("NHLE_ONNX_KEY_PASSWORD", "secret")
    assert nhle("sign", model, "--key", keys["encrypted"]).code == 0
    assert nhle("check-signature", model, "--key", keys["public"]).code == 0
    certified = ("--certificate", keys["certificate"], "--force")
    result = nhle("sign", model, "--key", keys["encrypted"], *certified)
    assert_refused(result, 3, "encrypted", "without a password")


@pytest.mark.parametrize("name", ["private", "root", "rsa", "absent"])
def test_public_keys_of_the_wrong_kind(nhle: Nhle, signed: Path, keys: Keys, name: str) -> None:
    result = nhle("check-signature", signed / "model.onnx", "--key", keys[name])
    assert_refused(result, 3, f"{name}.pem cannot be read")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"no json", b"\xff\xfe", b'{"a": 1}'])
def test_what_is_no_signature_is_refused(
    nhle: Nhle, signed: Path, keys: Keys, content: bytes
) -> None:
    (signed / "model.onnx.sig").write_bytes(content)
    result = nhle("check-signature", signed / "model.onnx", "--key", keys["public"])
    assert_refused(result, 3, "model.onnx.sig is not a signature")


def test_what_to_trust_is_said(nhle: Nhle, signed: Path, keys: Keys) -> None:
    command = ("check-signature", signed / "model.onnx")
    assert_refused(nhle(*command), 2, "--key PUBLIC.pem")
    both = ("--key", keys["public"], "--chain", keys["root"])
    assert_refused(nhle(*command, *both), 2, "--key PUBLIC.pem")


@pytest.mark.parametrize("package", ["model_signing", "cryptography", "OpenSSL"])
def test_without_the_extra(
    nhle: Nhle, release: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for name in list(sys.modules):
        if name == "nhle_onnx.release.bundle" or name.split(".")[0] in {package, "model_signing"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    result = nhle("sign", release / "model.onnx", "--key", keys["private"])
    assert_refused(result, 2, package, "pip install '.[sign]'")


def test_the_signers_own_program_accepts_it(signed: Path, keys: Keys) -> None:
    """The format is OpenSSF's: other tools check it too."""
    from model_signing.verifying import Config  # noqa: PLC0415 - the extra

    config = Config().use_elliptic_key_verifier(public_key=keys["public"])  # type: ignore[no-untyped-call]
    config.set_ignore_unsigned_files(True).verify(signed, signed / "model.onnx.sig")
    (signed / "model.report.json").write_text("{}")
    with pytest.raises(ValueError, match="Signature mismatch"):
        config.verify(signed, signed / "model.onnx.sig")
