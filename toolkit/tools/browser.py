"""Chromium without a window, driven by its DevTools protocol."""

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_TALLEST = 9000  # pixels of a screenshot
_SECONDS = 120


class Form(NamedTuple):
    """A screen or a sheet that a page is shown on."""

    name: str
    width: int
    media: str = "screen"
    is_phone: bool = False


FORMS = (
    Form("desktop", 1000),
    Form("phone", 390, is_phone=True),
    Form("print", 720, media="print"),
)
SCHEMES = ("light", "dark")


def find_browser() -> str | None:
    """Return the path of Chromium, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """A tab. `messages` are what the console says, and uncaught errors."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: WebSocketClientConnection) -> None:
        self._loop = loop
        self._socket = socket
        self._numbers = itertools.count(1)
        self.messages: list[str] = []

    def show(self, url: str, form: Form, scheme: str) -> None:
        """Open a page in a form and a colour scheme."""
        self._call("Emulation.setDeviceMetricsOverride", width=form.width, height=900,
                   deviceScaleFactor=1, mobile=form.is_phone)  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=form.media, features=features)
        self._call("Page.navigate", url=url)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            if self.evaluate("document.readyState === 'complete' && location.href") == url:
                return
            time.sleep(0.1)
        message = f"{url} did not load"
        raise TimeoutError(message)

    def stretch(self, form: Form) -> None:
        """Make the window as high as the page, as if a reader had scrolled through all of it."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        height = int(size["height"]) + 1
        self._call("Emulation.setDeviceMetricsOverride", width=form.width, height=height,
                   deviceScaleFactor=1, mobile=form.is_phone)  # fmt: skip
        self.evaluate("new Promise(done => setTimeout(done, 150))")

    def take(self) -> bytes:
        """Take a picture of the whole page, as a PNG."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0, "y": 0, "width": size["width"], "height": min(size["height"], _TALLEST),
            "scale": 1,
        }  # fmt: skip
        taken = self._call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    def evaluate(self, script: str) -> Any:  # noqa: ANN401 - any JSON
        """Run a script in the page, and return its value once it is there."""
        answer = self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> Any:  # noqa: ANN401 - any JSON
        return self._loop.run_until_complete(self.call(method, **parameters))

    async def call(self, method: str, **parameters: Any) -> Any:  # noqa: ANN401 - any JSON
        """Send a command, and return its result; note what the console says meanwhile."""
        number = next(self._numbers)
        await self._socket.write_message(
            json.dumps({"id": number, "method": method, "params": parameters})
        )
        while text := await asyncio.wait_for(self._socket.read_message(), _SECONDS):
            message = json.loads(text)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if message.get("method") == "Log.entryAdded":
                self.messages.append(message["params"]["entry"]["text"])
            if message.get("method") == "Runtime.exceptionThrown":
                self.messages.append(str(message["params"])[:500])
        message_text = "the browser closed"
        raise ConnectionError(message_text)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium with a profile of its own, and end it when the context ends."""
    program = find_browser()
    if program is None:
        message = "Chromium is not installed"
        raise FileNotFoundError(message)
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, subprocess.Popen(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--remote-debugging-port=0", "--remote-allow-origins=*", "--allow-file-access",
            f"--user-data-dir={profile}", "about:blank",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            socket = loop.run_until_complete(_connect(Path(profile)))
            browser = Browser(loop, socket)
            for domain in ("Page", "Runtime", "Log"):
                loop.run_until_complete(browser.call(f"{domain}.enable"))
            yield browser
        finally:
            process.terminate()
    loop.close()


async def _connect(profile: Path) -> WebSocketClientConnection:
    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + _SECONDS
    while not port_file.exists() or not port_file.read_text("utf-8").strip():
        if time.monotonic() > deadline:
            message = "Chromium did not start"
            raise TimeoutError(message)
        await asyncio.sleep(0.1)
    port = int(port_file.read_text("utf-8").splitlines()[0])
    answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json/list")
    tabs = json.loads(answer.body)
    address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return await websocket_connect(address, max_message_size=2**28)
