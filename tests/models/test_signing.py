"""Signatures hold for a bundle as it was signed, by keys that are trusted, and for nothing else."""

import stat
import subprocess
import sys

import pytest

from models.errors import SignatureError, SigningKeyError
from models.signing import SIGNATURE, Keys, is_signed, make_key, sign_bundle, sign_text, trusted_keys, verify_bundle


@pytest.fixture
def keys(tmp_path):
    keys = Keys.below(tmp_path)
    make_key(keys.private, keys.trusted)
    return keys


@pytest.fixture
def signed(tmp_path, keys):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in ("bundle.json", "model.onnx", ".gitignore"):
        (bundle / name).write_text(f"content of {name}")
    sign_bundle(bundle, keys.private)
    return bundle


def test_a_signed_bundle_names_the_key(signed, keys):
    (public,) = keys.trusted.iterdir()
    assert verify_bundle(signed, keys.trusted) == public.stem


def test_only_the_owner_reads_the_private_key(keys):
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600


def test_anyone_can_check_it_with_the_tool_of_others(signed, keys):
    (public,) = keys.trusted.iterdir()
    words = [
        "verify",
        "key",
        signed,
        "--signature",
        signed / SIGNATURE,
        "--public_key",
        public,
        "--no-ignore-git-paths",
    ]
    done = subprocess.run([sys.executable, "-m", "model_signing", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (signed / "model.onnx").write_text("another graph")
    done = subprocess.run([sys.executable, "-m", "model_signing", *words], capture_output=True, text=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda folder: (folder / "model.onnx").write_text("another graph"),
            "its files are not those that were signed",
        ),
        (lambda folder: (folder / "bundle.json").unlink(), "its files are not those that were signed"),
        (lambda folder: (folder / ".gitignore").write_text("*"), "its files are not those that were signed"),
        (lambda folder: (folder / "plugin.py").write_text("import os"), "its files are not those that were signed"),
        (lambda folder: (folder / SIGNATURE).unlink(), "it has no bundle.sig"),
        (lambda folder: (folder / SIGNATURE).write_text("{}"), "none of the trusted keys signed it"),
        (lambda folder: (folder / SIGNATURE).write_bytes(b"\xff\x00"), "none of the trusted keys signed it"),
        (
            lambda folder: (folder / SIGNATURE).write_text(
                (folder / SIGNATURE).read_text().replace('"sig":"ME', '"sig":"MF')
            ),
            "none of the trusted keys signed it",
        ),
    ],
)
def test_a_changed_bundle_or_signature_is_refused(signed, keys, change, said):
    change(signed)
    with pytest.raises(SignatureError, match=said) as caught:
        verify_bundle(signed, keys.trusted)
    assert caught.value.values["path"] == signed


def test_a_bundle_that_another_key_signed_is_refused_until_that_key_is_trusted(signed, keys, tmp_path):
    other = Keys.below(tmp_path / "other")
    public = make_key(other.private, other.trusted)
    sign_bundle(signed, other.private)
    with pytest.raises(SignatureError, match="none of the trusted keys signed it"):
        verify_bundle(signed, keys.trusted)
    (keys.trusted / "the other site.pem").write_bytes(public.read_bytes())
    assert verify_bundle(signed, keys.trusted) == "the other site"


def test_what_an_older_key_signed_stays_trusted_until_its_public_half_is_taken_out(signed, keys, tmp_path):
    keys.private.rename(tmp_path / "retired.pem")
    older = verify_bundle(signed, keys.trusted)
    newer = make_key(keys.private, keys.trusted)
    assert verify_bundle(signed, keys.trusted) == older
    (keys.trusted / f"{older}.pem").unlink()
    with pytest.raises(SignatureError):
        verify_bundle(signed, keys.trusted)
    sign_bundle(signed, keys.private)
    assert verify_bundle(signed, keys.trusted) == newer.stem


def test_a_key_is_never_overwritten(keys):
    before = keys.private.read_bytes()
    with pytest.raises(SigningKeyError, match="there is one already"):
        make_key(keys.private, keys.trusted)
    assert keys.private.read_bytes() == before
    assert len(list(keys.trusted.iterdir())) == 1


def test_a_text_is_signed(keys, tmp_path):
    signature = sign_text("version 3 serves", keys.private)
    assert is_signed("version 3 serves", signature, trusted_keys(keys.trusted))
    assert not is_signed("version 4 serves", signature, trusted_keys(keys.trusted))
    for wrong in ("", "no base64 at all!", signature[:-4]):
        assert not is_signed("version 3 serves", wrong, trusted_keys(keys.trusted))


@pytest.mark.parametrize("content", [None, "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_without_a_private_key_it_says_how_to_make_one(signed, tmp_path, content):
    path = tmp_path / "absent.pem"
    if content is not None:
        path.write_text(content)
    for sign in (lambda: sign_bundle(signed, path), lambda: sign_text("text", path)):
        with pytest.raises(SigningKeyError, match="Run: thorax registry keygen"):
            sign()


def test_without_a_trusted_key_nothing_is_verified(signed, tmp_path):
    for verify in (lambda: verify_bundle(signed, tmp_path / "nobody"), lambda: trusted_keys(tmp_path / "nobody")):
        with pytest.raises(SigningKeyError, match="Expected public keys to trust"):
            verify()


def test_what_is_no_key_among_the_trusted_is_told(keys):
    (keys.trusted / "notes.pem").write_text("no key")
    with pytest.raises(SigningKeyError, match="a public key"):
        trusted_keys(keys.trusted)
