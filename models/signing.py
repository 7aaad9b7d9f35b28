"""Who vouches for a bundle, and for a line of the registry's history: keys, signatures and whom to trust.

Elliptic curve P-256 throughout. Bundles are signed by OpenSSF's model-signing, whose signature names each file with its
hash; anyone can check it with that tool alone. Keys are files: no service of others is asked, so that this works where
there is no network.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from models.errors import SignatureError, SigningKeyError

SIGNATURE = "bundle.sig"
_KEYGEN = "Run: thorax registry keygen"
_CHANGED = "Signature mismatch"  # how model-signing begins its list of files that differ


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs here, and whose signatures count.

    Attributes:
        private: the file of the private key; needed only by those who register and promote.
        trusted: the folder of public keys.
    """

    private: Path
    trusted: Path

    @classmethod
    def below(cls, folder: Path) -> Self:
        """Where `thorax registry keygen` puts them, below the registry's folder."""
        return cls(folder / "keys" / "private.pem", folder / "keys" / "trusted")


def make_key(private: Path, trusted: Path) -> Path:
    """A new key: the private half in a file that only its owner reads, the public one among the trusted.

    Args:
        private: the file to write.
        trusted: the folder of public keys.

    Returns:
        The file of the public half, named by its fingerprint.

    Raises:
        SigningKeyError: there is a private key already, or one of the files cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        trusted.mkdir(parents=True, exist_ok=True)
        private.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        path = trusted / f"{hashlib.sha256(public).hexdigest()[:16]}.pem"
        path.write_bytes(public)
    except FileExistsError as error:
        reason = "there is one already; move it away first, and leave its public half where it is trusted"
        raise SigningKeyError(path=private, expected="no private key yet", reason=reason, remedy="") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise SigningKeyError(path=private, expected="a place for a key", reason=reason, remedy="") from error
    return path


def sign_bundle(bundle: Path, private: Path) -> None:
    """Writes `bundle.sig` into a bundle's folder, over every other file in it.

    Raises:
        SigningKeyError: the private key is missing or is none.
    """
    _private_key(private)  # its own words where it is none
    from model_signing.hashing import Config as Hashing
    from model_signing.signing import Config

    signature = bundle / SIGNATURE
    signature.unlink(missing_ok=True)
    hashing = Hashing().set_ignored_paths(paths=[signature], ignore_git_paths=False)
    Config().set_hashing_config(hashing).use_elliptic_key_signer(private_key=private).sign(bundle, signature)


def verify_bundle(bundle: Path, trusted: Path) -> str:
    """The fingerprint of the trusted key that signed a bundle, of which every file is as it was signed.

    Raises:
        SignatureError: there is no signature, none of a trusted key, or a file was changed, added or removed.
        SigningKeyError: no key is trusted.
    """
    from model_signing.hashing import Config as Hashing
    from model_signing.verifying import Config

    signature = bundle / SIGNATURE
    if not signature.is_file():
        raise SignatureError(path=bundle, reason=f"it has no {SIGNATURE}")
    reason = "none of the trusted keys signed it"
    for key in _trusted_files(trusted):
        hashing = Hashing().set_ignored_paths(paths=[signature], ignore_git_paths=False)
        verifier = Config().set_hashing_config(hashing)
        try:
            verifier.use_elliptic_key_verifier(public_key=key).verify(bundle, signature)
        except Exception as error:  # model-signing has none of its own, and none of them is trust
            reason = "its files are not those that were signed" if str(error).startswith(_CHANGED) else reason
        else:
            return key.stem
    raise SignatureError(path=bundle, reason=reason)


def sign_text(text: str, private: Path) -> str:
    """The signature of a text in base64 (ECDSA, SHA-256).

    Raises:
        SigningKeyError: the private key is missing or is none.
    """
    return base64.b64encode(_private_key(private).sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode("ascii")


def trusted_keys(folder: Path) -> list[ec.EllipticCurvePublicKey]:
    """The public keys whose signatures count.

    Raises:
        SigningKeyError: there are none, or one of the files is no key.
    """
    return [_public_key(path) for path in _trusted_files(folder)]


def is_signed(text: str, signature: str, keys: Sequence[ec.EllipticCurvePublicKey]) -> bool:
    """Whether one of the keys signed the text; the signature is in base64."""
    for key in keys:
        try:
            key.verify(base64.b64decode(signature), text.encode(), ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SigningKeyError(path=path, expected="a private key", reason=reason, remedy=_KEYGEN) from error
    except (ValueError, TypeError) as error:
        raise SigningKeyError(path=path, expected="a private key", reason="it is none", remedy=_KEYGEN) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SigningKeyError(path=path, expected="a key of curve P-256", reason="it is another", remedy=_KEYGEN)
    return key


def _public_key(path: Path) -> ec.EllipticCurvePublicKey:
    remedy = "Move away what is no key"
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SigningKeyError(path=path, expected="a public key", reason=error, remedy=remedy) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SigningKeyError(path=path, expected="a key of curve P-256", reason="it is another", remedy=remedy)
    return key


def _trusted_files(folder: Path) -> list[Path]:
    keys = sorted(folder.glob("*.pem"))
    if not keys:
        raise SigningKeyError(path=folder, expected="public keys to trust", reason="there are none", remedy=_KEYGEN)
    return keys
