"""A server of pages on this machine alone. Only those who know its address can read them."""

import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

_LOOPBACK = "127.0.0.1"
_SECONDS = 10  # for a request to arrive
_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FAULTS = (LookupError, ValueError, TypeError, AttributeError, OverflowError)


class PageServer(ThreadingHTTPServer):
    """Pages by their path, under a path that cannot be guessed."""

    daemon_threads = True

    def __init__(self, pages: Mapping[str, Callable[[], str]], port: int = 0) -> None:
        self.token = secrets.token_urlsafe(24)
        self._pages = pages
        self._rendered: dict[str, str] = {}
        self._lock = Lock()  # matplotlib draws one picture at a time
        super().__init__((_LOOPBACK, port), _Handler)

    @property
    def address(self) -> str:
        """The address of the first page."""
        return f"http://{_LOOPBACK}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which it answers: another one would be a stranger's."""
        return frozenset(f"{name}:{self.server_port}" for name in (_LOOPBACK, "localhost"))

    def render(self, path: str) -> str | None:
        """Return a page, or None where there is none."""
        with self._lock:
            if path in self._pages and path not in self._rendered:
                self._rendered[path] = self._pages[path]()
            return self._rendered.get(path)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server: PageServer
    timeout = _SECONDS
    server_version, sys_version = "nhle-onnx", ""

    def do_GET(self) -> None:
        """Send a page."""
        status, text = self._answer()
        content = text.encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_HEAD(self) -> None:
        """Send what stands before a page."""
        self.do_GET()

    def _answer(self) -> tuple[HTTPStatus, str]:
        if self.headers.get("Host") not in self.server.hosts:
            return HTTPStatus.MISDIRECTED_REQUEST, "this host is not served"
        token, slash, path = self.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()) or not slash:
            return HTTPStatus.NOT_FOUND, "no such page"
        try:
            page = self.server.render(path)
        except _FAULTS:
            return (
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "this report cannot be shown: it contradicts itself",
            )
        if page is None:
            return HTTPStatus.NOT_FOUND, "no such page"
        return HTTPStatus.OK, page

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        """Write nothing: paths hold the token."""
