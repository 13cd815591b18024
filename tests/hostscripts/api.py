"""The EC2 API's one call that a pair makes, in the sandbox: an address moves, and the metadata says so.

api.py CONTROL METADATA LOG. CONTROL: {"macs": {ENI: MAC}, "down": bool, "refused": [ADDRESS], "keys": [KEY]}; LOG
gets a line per call: key, ENI, address, token, status.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

PORT = 8773
CONTROL, METADATA, LOG = map(Path, sys.argv[1:4])
one_at_a_time = threading.Lock()


class Api(BaseHTTPRequestHandler):
    """Reads its control file for every call."""

    def do_POST(self) -> None:
        body = {k: v[0] for k, v in parse_qs(self._body()).items()}
        signed = re.match(r"AWS4-HMAC-SHA256 Credential=(\w+)/", self.headers.get("Authorization", ""))
        key = signed[1] if signed else "unsigned"
        eni, address = body["NetworkInterfaceId"], body["PrivateIpAddress.1"]
        with one_at_a_time:
            status, code = self._claimed(key, eni, address, body)
            token = self.headers.get("X-Amz-Security-Token", "-")
            with LOG.open("a") as log:
                log.write(f"{key} {eni} {address} {token} {status}\n")
        text = f"<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _body(self) -> str:
        return self.rfile.read(int(self.headers["Content-Length"])).decode()

    def _claimed(self, key: str, eni: str, address: str, body: dict[str, str]) -> tuple[int, str]:
        control = json.loads(CONTROL.read_text())
        if control.get("down"):
            return 503, "Unavailable"
        if key not in control["keys"]:
            return 401, "AuthFailure"
        if address in control.get("refused", []) or body.get("AllowReassignment") != "true":
            return 403, "UnauthorizedOperation"
        metadata = json.loads(METADATA.read_text())
        path = f"network/interfaces/macs/{control['macs'][eni]}/local-ipv4s"
        if address not in metadata[path].split():
            metadata[path] += f"\n{address}"
            written = METADATA.with_suffix(".api")
            written.write_text(json.dumps(metadata))
            written.rename(METADATA)
        return 200, "OK"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Api).serve_forever()
