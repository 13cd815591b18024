"""libnftables, the library behind `nft`: one transaction takes a tenth of a millisecond, a process fifteen.

A context belongs to the network namespace of the thread that opened it, whoever uses it later. It stays open
as long as the namespace: closing its socket waits for a grace period of the kernel (12 ms) after a deletion.
"""

from __future__ import annotations

import ctypes
import functools
import json

from lab.errors import LabError

OUTPUT_JSON = 1 << 4  # NFT_CTX_OUTPUT_JSON in nftables/libnftables.h
LIBRARY = "libnftables.so.1"


@functools.cache
def library() -> ctypes.CDLL:
    """The shared library; Debian's nftables depends on it."""
    try:
        lib = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise LabError(f"{LIBRARY} is missing: {error}", hint="run: apt-get install nftables") from error
    lib.nft_ctx_new.restype = ctypes.c_void_p
    lib.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    lib.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    for name in (
        "nft_ctx_free",
        "nft_ctx_buffer_output",
        "nft_ctx_buffer_error",
        "nft_ctx_get_output_buffer",
        "nft_ctx_get_error_buffer",
    ):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
    lib.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return lib


class NftError(Exception):
    """A transaction that the kernel or the parser refused; nothing of it took effect."""


class Nft:
    """A context in the calling thread's network namespace."""

    def __init__(self) -> None:
        self._lib = library()
        self._context = self._lib.nft_ctx_new(0)
        if not self._context:
            raise NftError("nft_ctx_new failed")
        self._lib.nft_ctx_buffer_output(self._context)
        self._lib.nft_ctx_buffer_error(self._context)
        self._lib.nft_ctx_output_set_flags(self._context, OUTPUT_JSON)

    def run(self, script: str) -> str:
        """Run commands as one transaction; returns what they print."""
        failed = self._lib.nft_run_cmd_from_buffer(self._context, script.encode())
        output: bytes = self._lib.nft_ctx_get_output_buffer(self._context) or b""
        if failed:
            errors: bytes = self._lib.nft_ctx_get_error_buffer(self._context) or b""
            raise NftError(f"{errors.decode(errors='replace').strip()}\nin:\n{script}")
        return output.decode()

    def counters(self, family: str, table: str) -> dict[str, int]:
        """Packets by name of the counter."""
        listed = json.loads(self.run(f"list counters table {family} {table}"))["nftables"]
        found = [item["counter"] for item in listed if "counter" in item]
        return {c["name"]: c["packets"] for c in found if c["family"] == family and c["table"] == table}

    def close(self) -> None:
        """Free the context and its socket."""
        if self._context:
            self._lib.nft_ctx_free(self._context)
            self._context = None
