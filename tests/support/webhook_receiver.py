"""A receiver of webhooks in a process of its own: writes each request as one JSON line to a file, and answers 200.

`python webhook_receiver.py PORT FILE`; prints `listening` when it can be called.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl


def serve(port: int, file: Path) -> None:
    """Until the process ends."""

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got = {
                "path": self.path,
                "headers": dict(self.headers),
                "parameters": dict(parse_qsl(body, keep_blank_values=True)),
            }
            with file.open("a") as out:
                out.write(json.dumps(got) + "\n")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the file tells."""

    with ThreadingHTTPServer(("127.0.0.1", port), Receiver) as server:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
