"""A small HTTP server with the faults of real ones."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reproduce.data.download import Source


@dataclass
class Server:
    """What is served and how; every request's Range (or an empty text) is noted.

    Attributes:
        ranges: Whether Range is understood.
        cut: Bytes after which an answer is cut.
        cuts: How many answers are cut.
        status: Status of the answers instead of files, in turn.
        location: Where every request is sent.
        shift: Added to the position that a partial answer tells and starts at.
        sized: Whether the size is told.
    """

    files: dict[str, bytes]
    ranges: bool = True
    cut: int = 0
    cuts: int = 0
    status: list[int] = field(default_factory=list)
    location: str = ""
    shift: int = 0
    sized: bool = True
    seen: list[str] = field(default_factory=list)
    address: str = ""

    def source(self, name: str, content: bytes | None = None) -> Source:
        """The record of a file; ``content`` is what its hash is made of."""
        content = self.files[name] if content is None else content
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return Source(f"{self.address}/{name}", name, md5)


class _Handler(BaseHTTPRequestHandler):
    served: Server

    def log_message(self, *args: object) -> None:
        """Stay quiet."""

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_GET(self) -> None:
        server, asked = self.served, self.headers.get("Range", "")
        server.seen.append(asked)
        body = server.files.get(self.path[1:])
        if server.location:
            self._head(302, Location=server.location)
        elif server.status or body is None:
            self._head(server.status.pop(0) if server.status else 404, Content_Length="0")
        else:
            self._send(server, body, asked)

    def _send(self, server: Server, body: bytes, asked: str) -> None:
        found = re.match(r"bytes=(\d+)-", asked) if server.ranges else None
        start, size = int(found[1]) if found else 0, len(body)
        if found and start >= size:
            self._head(416, Content_Range=f"bytes */{size}", Content_Length="0")
            return
        start += server.shift if found else 0
        headers = {"Content_Length": str(size - start)} if server.sized else {}
        if found:
            headers["Content_Range"] = f"bytes {start}-{size - 1}/{size}"
        self._head(206 if found else 200, **headers)
        end = size
        if server.cuts:
            server.cuts -= 1
            end = min(size, start + server.cut)
        self.wfile.write(body[start:end])


@contextmanager
def serve(**options: object) -> Iterator[Server]:
    """Run a server for the time of a block."""
    server = Server(**options)  # type: ignore[arg-type]
    handler = type("Handler", (_Handler,), {"served": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        server.address = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
