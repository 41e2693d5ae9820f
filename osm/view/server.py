"""The server: for this machine alone, for who knows the token, and for reading only."""

from __future__ import annotations

import hmac
import logging
import secrets
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from osm.errors import ConfigError
from osm.view.site import Answer, Site

HOST = "127.0.0.1"
#: Names by which a browser on this machine, or at the other end of an ssh tunnel, asks for the page. Any other name
#: in the Host header means that somebody else's page has pointed its own name here (DNS rebinding).
NAMES = ("127.0.0.1", "localhost")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_LOG = logging.getLogger(__name__)


class ViewServer(ThreadingHTTPServer):
    """Serves a site on 127.0.0.1 while the block runs, from a thread of its own.

    Args:
        site: What is served.
        port: Of 127.0.0.1; 0 for any that is free.

    Attributes:
        token: First part of every address; new for each server.

    Raises:
        ConfigError: The port is taken or not allowed.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"--port {port}", found=f"it cannot be used ({error.strerror})", expected="a free port", mend="leave "
                "the option out, or give another"
            ) from error  # fmt: skip

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, as ``HTTPServer`` does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @property
    def url(self) -> str:
        """The address of the page, token and all."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def __enter__(self) -> ViewServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is none; anything else is a defect, and is logged."""
        if not isinstance(sys.exc_info()[1], OSError):
            _LOG.exception("the page was not answered")


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    protocol_version = "HTTP/1.1"
    timeout = 60
    # nothing of what was asked comes back
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def _refuse_method(self) -> None:
        # what comes after the head is not read, so the connection cannot be used again
        self.close_connection = True
        self._send(Answer(405, "text/plain; charset=utf-8", b"405 only GET and HEAD\n", (("Allow", "GET, HEAD"),)))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse_method  # noqa: N815

    def _serve(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(_refusal(400, "a request with a body"))
            return
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].rpartition(":")[0] not in NAMES or not hosts[0].rpartition(":")[2].isdecimal():
            self._send(_refusal(403, "the page goes by 127.0.0.1 and localhost only"))
            return
        path, _, query = self.path.partition("?")
        _, _, rest = path.partition("/")
        token, slash, name = rest.partition("/")
        if not path.startswith("/") or not hmac.compare_digest(token.encode(), self.server.token.encode()) or not slash:
            self._send(_refusal(403, "the address that osm view printed holds a token, which is missing here"))
            return
        try:
            parameters = dict(parse_qsl(query, max_num_fields=16))
        except ValueError:  # of parse_qsl: too many
            self._send(_refusal(400, "parameters that cannot be read"))
            return
        self._send(self.server.site.answer(name, parameters))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def end_headers(self) -> None:
        """Every answer has the same limits, errors of the protocol included."""
        for name, value in _HEADERS:
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """No version of anything."""
        return "osm"

    def log_message(self, format: str, *args: Any) -> None:
        """Into the log, where the token has no place."""
        _LOG.debug("%s", (format % args).replace(self.server.token, "…"))


def _refusal(status: int, words: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{status} {words}\n".encode())
