"""Instance metadata, version 2, from a JSON file: path → text, or an HTTP status. Without a token nothing is told."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "a-token"


class Metadata(BaseHTTPRequestHandler):
    """Reads the file for every request, so that a test can change what it says."""

    def do_PUT(self) -> None:
        self._answer(200, TOKEN)

    def do_GET(self) -> None:
        answers = json.loads(Path(sys.argv[1]).read_text())
        path = self.path.removeprefix("/latest/meta-data/")
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self._answer(401, "no token")
        elif isinstance(answers.get(path), int):
            self._answer(answers[path], "")
        elif path in answers:
            self._answer(200, answers[path])
        else:
            self._answer(404, "not found")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    ThreadingHTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
