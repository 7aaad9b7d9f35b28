"""Pseudonyms: the same for the same key, nothing to be read out of them, and one key however many ask for it."""

import hashlib
import os
import stat
import subprocess
import sys

import pytest

from models.errors import SettingsError
from pipelines.pseudonyms import Pseudonyms, load_pseudonyms

KEY = bytes(range(32))
ALL = Pseudonyms(KEY)


def test_a_pseudonym_is_rfc_7693s_keyed_hash():
    # printf 'patient\0clinic\0p-17' | b2sum has no key; so the bytes of the standard library stand for it
    expected = hashlib.blake2b(b"patient\0clinic\0p-17", key=KEY, digest_size=16).hexdigest()
    assert ALL.of("patient", "clinic", "p-17") == expected
    assert len(expected) == 32


def test_the_same_key_gives_the_same_and_another_key_another():
    assert Pseudonyms(KEY).of("patient", "clinic", "17") == ALL.of("patient", "clinic", "17")
    assert Pseudonyms(bytes(32)).of("patient", "clinic", "17") != ALL.of("patient", "clinic", "17")


def test_everything_that_names_someone_counts_and_its_parts_are_kept_apart():
    found = {
        ALL.of(*identity)
        for identity in [
            ("patient", "clinic", "17"), ("study", "clinic", "17"), ("patient", "alps", "17"),
            ("patient", "clinic", "18"),
            ("patient", "clinic1", "7"), ("patientclinic", "17"), ("patient", "clinic", ""), ("patient", "clinic"),
        ]
    }  # fmt: skip
    assert len(found) == 8


@pytest.mark.parametrize("identity", ["Doe^Jane", "19700101", "ä" * 5000, ""])
def test_nothing_of_the_identity_is_in_it(identity):
    pseudonym = ALL.of("patient", "clinic", identity)
    assert len(pseudonym) == 32
    assert set(pseudonym) <= set("0123456789abcdef")
    assert not identity or identity not in pseudonym
    assert "clinic" not in pseudonym


def test_a_key_is_made_for_its_owner_alone_and_kept(tmp_path):
    path = tmp_path / "new/folder/pseudonym.key"
    first = load_pseudonyms(path).of("patient", "clinic", "17")
    key = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key.decode())) == 32
    assert load_pseudonyms(path).of("patient", "clinic", "17") == first
    assert path.read_bytes() == key
    assert [left.name for left in path.parent.iterdir()] == ["pseudonym.key"]


def test_each_key_is_another(tmp_path):
    found = {load_pseudonyms(tmp_path / name).of("patient", "clinic", "17") for name in "abc"}
    assert len(found) == 3


def test_a_key_that_is_there_is_used(tmp_path):
    path = tmp_path / "pseudonym.key"
    path.write_text(KEY.hex().upper() + "\n")
    assert load_pseudonyms(path).of("patient", "clinic", "17") == ALL.of("patient", "clinic", "17")


@pytest.mark.parametrize("content", [b"", b"not a key\n", b"00" * 31, b"00" * 33, b"0" * 63, b"\xff" * 64])
def test_a_malformed_key_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "pseudonym.key"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_pseudonyms(path)
    assert caught.value.values == {
        "where": path, "reason": "expected 64 hexadecimal digits; restore the key's copy"
    }  # fmt: skip
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "reason"), [("a folder", "Is a directory"), ("a file/pseudonym.key", "Not a directory|File exists")]
)
def test_a_key_that_can_be_neither_read_nor_made_is_refused(tmp_path, name, reason):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a file").write_text("")
    with pytest.raises(SettingsError, match=f"expected the key of pseudonyms, but ({reason})"):
        load_pseudonyms(tmp_path / name)


def test_of_processes_at_once_one_makes_the_key(tmp_path):
    path = tmp_path / "pseudonym.key"
    code = (
        "import sys; from pathlib import Path; from pipelines.pseudonyms import load_pseudonyms; "
        "print(flush=True); sys.stdin.read(); "
        "print(load_pseudonyms(Path(sys.argv[1])).of('patient', 'clinic', '17'))"
    )
    command = [sys.executable, "-P", "-c", code, str(path)]
    gate, bar = os.pipe()
    running = [subprocess.Popen(command, stdin=gate, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    os.close(gate)
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "\n"  # it waits at the gate
    os.close(bar)
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0] * 8
    assert said == {load_pseudonyms(path).of("patient", "clinic", "17") + "\n"}
    assert [left.name for left in tmp_path.iterdir()] == ["pseudonym.key"]
