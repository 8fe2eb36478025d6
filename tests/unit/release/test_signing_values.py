"""Files that are signed together, without the program around it."""

import hashlib
import os
import sys
from pathlib import Path

import onnx
import pytest
from cryptography.hazmat.primitives import serialization
from onnx import numpy_helper

from nhle_onnx.errors import UsageError
from nhle_onnx.release.sidecars import list_sidecars
from nhle_onnx.release.signature import (
    check_signature,
    fingerprint,
    name_signature,
    sign_contents,
    sign_files,
)
from nhle_onnx.values.signature import SigningKey, TrustedKey
from support.assertions import assert_refuses, assert_told
from support.graphs import make_model, make_node, place_outside
from support.shipped import LENET
from support.signing_keys import NAMES, Keys, rename_signed, write_keys, write_texts


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "files")


def save_model(path: Path, *locations: str) -> Path:
    weight = numpy_helper.to_array(onnx.load(LENET).graph.initializer[0])
    tensors = [
        place_outside(numpy_helper.from_array(weight, f"t{index}"), location=location)
        for index, location in enumerate(locations)
    ]
    path.write_bytes(make_model([make_node("Relu", "x")], {}, {}, tensors).SerializeToString())
    return path


def test_signed_files_are_checked_together(folder: Path, keys: Path) -> None:
    """All of them, or with some named alone; and each way not to be what was signed."""
    model = save_model(folder / "m.onnx", "w.bin", "./sub/v.bin")
    (folder / "sub").mkdir()
    (folder / "w.bin").write_bytes(b"w.bin")
    (folder / "sub" / "v.bin").write_bytes(b"sub/v.bin")
    paths = [folder / "b.txt", model]
    signature = name_signature(paths)
    assert signature == folder / "b.txt.sig"
    signed = sign_files(paths, signature, SigningKey(private_key=keys / "private"))
    names = ["b.txt", "m.onnx", "sub/v.bin", "w.bin"]
    assert [file.name for file in signed] == names
    assert all(
        file.sha256 == hashlib.sha256((folder / file.name).read_bytes()).hexdigest()
        for file in signed
    )
    trusted = TrustedKey(public_key=keys / "public")
    assert check_signature([model], signature, trusted) == signed
    assert check_signature([model], signature, trusted, is_whole=False) == signed[1:]
    assert check_signature([folder / "b.txt"], signature, trusted, is_whole=False) == signed[:1]
    assert_refuses(
        lambda: check_signature([model, folder / "a.txt"], signature, trusted),
        f"{signature} does not fit: a.txt was not signed",
    )
    (folder / "b.txt").write_text("other")
    (folder / "w.bin").unlink()
    error = assert_refuses(
        lambda: check_signature([model], signature, trusted),
        f"{signature} does not fit: b.txt was changed; w.bin was signed and is missing",
    )
    assert "get them again" in error.remedy
    (folder / "b.txt").write_text("b.txt")
    (folder / "w.bin").symlink_to(folder / "sub" / "v.bin")
    assert_refuses(
        lambda: check_signature([model], signature, trusted),
        "does not fit: w.bin is a link or not a file",
    )
    assert_refuses(
        lambda: check_signature([model], signature, trusted, is_whole=False),
        "does not fit: w.bin is a link or not a file",
    )


def test_files_that_cannot_be_signed(folder: Path, keys: Path, tmp_path: Path) -> None:
    key = SigningKey(private_key=keys / "private")
    one = folder / "a.txt"
    (folder / "link").symlink_to(one)
    (tmp_path / "other").write_text("")
    signature = folder / "s.sig"
    cases: list[tuple[list[Path], Path, str, str]] = [
        ([one, folder], signature, f"{folder} is a folder", "Name its files."),
        (
            [folder / "none"],
            signature, f"{folder / 'none'} does not exist", "Put the file itself there.",
        ),
        (
            [folder / "link"],
            signature, f"{folder / 'link'} is a link or not a file", "Put the file itself there.",
        ),
        (
            [one, tmp_path / "other"], signature,
            f"the files lie in several folders: {folder}, {tmp_path}", "Put them into one folder",
        ),
        (
            [one], one, f"{one} will hold the signature, so it cannot be signed itself",
            "without it.",
        ),
        (
            [save_model(folder / "m.onnx", "../w")], signature,
            f"{folder / 'm.onnx'} keeps weights in '../w', which lies outside its folder",
            "in one folder.",
        ),
        (
            [save_model(folder / "n.onnx", "gone")],
            signature, f"{folder / 'gone'} does not exist", "there.",
        ),
    ]  # fmt: skip
    for paths, at, reason, remedy in cases:
        error = assert_refuses(
            lambda paths=paths, at=at: sign_files(paths, at, key, force=True), reason
        )
        assert remedy in error.remedy
        assert not signature.exists()
    sign_files([one], signature, key)
    assert_refuses(lambda: sign_files([one], signature, key), f"{signature} already exists")
    sign_files([one], signature, key, force=True)
    trusted = TrustedKey(public_key=keys / "public")
    assert_refuses(
        lambda: check_signature([one], signature, TrustedKey(public_key=keys / "other")),
        f"{signature} was not made with the key of {keys / 'other'}",
    )
    error = assert_refuses(
        lambda: check_signature([one], folder / "none", trusted),
        f"{folder / 'none'} does not exist",
    )
    assert error.remedy == "Give the signature's file."
    error = assert_refuses(
        lambda: check_signature([one], tmp_path, trusted),
        f"{tmp_path} cannot be read: Is a directory",
    )
    assert error.remedy == "Give the path of a readable file."


def test_what_holds_weights_of_what(folder: Path) -> None:
    """Each name once, as it is written; and whoever says .onnx is held to it."""
    (folder / "no.name").write_bytes(save_model(folder / "m.onnx", "").read_bytes())
    assert_refuses(lambda: list_sidecars(folder / "no.name"), "keeps weights in '', which lies")
    nameless = onnx.load(folder / "m.onnx", load_external_data=False)
    del nameless.graph.initializer[0].external_data[:]
    (folder / "no.name").write_bytes(nameless.SerializeToString())
    assert_refuses(lambda: list_sidecars(folder / "no.name"), "keeps weights in '', which lies")
    model = save_model(folder / "m.onnx", "w.bin", "./w.bin", "w.bin", "sub/v.bin")
    assert sorted(list_sidecars(model)) == ["sub/v.bin", "w.bin", "w.bin"]
    assert list_sidecars(LENET) == list_sidecars(folder / "a.txt") == ()
    for name, content in (
        ("no.onnx", b"no model"),
        ("NO.ONNX", b""),
        ("half.onnx", model.read_bytes()[:9]),
    ):
        (folder / name).write_bytes(content)
        assert_refuses(
            lambda name=name: list_sidecars(folder / name),
            f"{folder / name} is not an ONNX model, or is truncated: it cannot be parsed",
        )
    with (folder / "large.bin").open("wb") as stream:
        stream.truncate(2**31)
    assert list_sidecars(folder / "large.bin") == ()
    assert_refuses(
        lambda: list_sidecars(folder / "none"), f"{folder / 'none'} cannot be read: No such file"
    )
    os.mkfifo(folder / "pipe")
    assert_refuses(
        lambda: list_sidecars(folder / "pipe"), "pipe cannot be read: it is not a regular file"
    )


def test_contents_are_signed_before_they_are_written(folder: Path, keys: Path) -> None:
    key = SigningKey(private_key=keys / "encrypted", password="secret")  # noqa: S106 - a test's
    contents = {"b.txt": b"b.txt", "a.txt": b"a.txt"}
    (folder / "s.sig").write_bytes(sign_contents(contents, key))
    trusted = TrustedKey(public_key=keys / "public")
    signed = check_signature([folder / "a.txt"], folder / "s.sig", trusted)
    assert [file.name for file in signed] == ["a.txt", "b.txt"]
    public = serialization.load_pem_public_key((keys / "public").read_bytes())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    content = public.public_bytes(serialization.Encoding.DER, form)
    assert fingerprint(key) == hashlib.sha256(content).hexdigest()


def test_without_the_extra_nothing_is_signed(
    folder: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "nhle_onnx.release.bundle", raising=False)
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(UsageError) as caught:
        sign_files([folder / "a.txt"], folder / "s.sig", SigningKey(private_key=keys / "private"))
    assert_told(caught.value, "signatures need a package that is not installed: model_signing")
    assert caught.value.remedy == "In a clone of nhle-onnx: `pip install '.[sign]'`."


def test_a_signature_is_named_after_the_first_file(folder: Path) -> None:
    assert name_signature([folder / "a.txt"]) == folder / "a.txt.sig"


def test_names_that_leave_the_folder_do_not_fit(folder: Path, keys: Path) -> None:
    signature = folder / "s.sig"
    sign_files(
        [folder / name for name in NAMES], signature, SigningKey(private_key=keys / "private")
    )
    (folder / "private.pem").write_bytes((keys / "private").read_bytes())
    signature.write_bytes(rename_signed(signature.read_bytes(), "b.txt", "../b", Keys(folder)))
    trusted = TrustedKey(public_key=keys / "public")
    assert_refuses(
        lambda: check_signature([folder / "a.txt"], signature, trusted),
        f"{signature} does not fit: ../b lies outside the folder",
    )


def test_a_signed_file_that_cannot_be_read(
    folder: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, signature = folder / "a.txt", folder / "s.sig"
    sign_files([one], signature, SigningKey(private_key=keys / "private"))

    def fail(_path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nhle_onnx.release.signature.digest_regular", fail)
    error = assert_refuses(
        lambda: check_signature([one], signature, TrustedKey(public_key=keys / "public"))
    )
    assert error.reason == f"{one} cannot be read: Permission denied"
    assert error.remedy == "Give the path of a readable file."
