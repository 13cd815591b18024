"""The lab's own key pair: of the operator in the stack, and of the console on every guest."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.paths import LabPaths


def ensure_key_pair(paths: LabPaths) -> str:
    """Make it once; returns the public key in OpenSSH's format."""
    public_file = paths.ssh_key.with_suffix(".pub")
    if not public_file.exists():
        key = Ed25519PrivateKey.generate()
        paths.ssh_key.touch(mode=0o600)
        paths.ssh_key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        public_file.write_bytes(public + f" causeway-lab-{paths.name}\n".encode())
    return public_file.read_text().strip()


def operator_keys(paths: LabPaths) -> dict[str, str | None]:
    """The pair as overrides of a stack's settings, which may have another one, encrypted where nobody reads it."""
    return {
        "private_key": None,
        "access.public_key": paths.ssh_key.with_suffix(".pub").read_text().strip(),
        "private_key_file": str(paths.ssh_key),
    }
