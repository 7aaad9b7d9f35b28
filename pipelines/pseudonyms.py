"""Pseudonyms of patients and studies: keyed hashes, with the key outside the data.

Without the key nobody can try out which patient a pseudonym stands for; with it, the same patient has the same one in
every source and every run.
"""

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from models.errors import SettingsError

_KEY_BYTES = 32


class Pseudonyms:
    """Turns identities into pseudonyms.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, *identity: str) -> str:
        """32 hexadecimal digits (BLAKE2b, RFC 7693, keyed) for what names someone: the issuer, then the number."""
        return hashlib.blake2b("\0".join(identity).encode(), key=self._key, digest_size=16).hexdigest()


def load_pseudonyms(path: Path) -> Pseudonyms:
    """With the key in a file, which is made, readable by its owner alone, where there is none.

    Raises:
        SettingsError: the file holds no key, or can be neither read nor made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        return Pseudonyms(_key(path))
    except OSError as error:
        raise SettingsError(where=path, reason=f"expected the key of pseudonyms, but {error.strerror}") from error


def _make(path: Path) -> None:
    """Whole or not at all; of several processes at once the first has made it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii") as file:  # with mode 0600
        file.write(secrets.token_hex(_KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def _key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError(where=path, reason=f"expected {2 * _KEY_BYTES} hexadecimal digits; restore the key's copy")
    return key
