"""Whether everybody can read the pages: checks by axe-core, of the console, and of the width."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import click
from rich.progress import track

from tools.browser import FORMS, SCHEMES, Browser, Form, open_browser
from tools.pictures import fail_on, make_reports, open_folder, open_pages

_AXE_RUN = """axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(
    each => each.id + ": " + each.help + ": " + each.nodes.slice(0, 3).map(
        node => node.html.slice(0, 160)).join(" | ")))"""
_HOW_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@click.command("accessible")
@click.option(
    "--axe", type=click.Path(path_type=Path), help="axe.min.js.  [default: the newest of npm]"
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Keep pages in this folder, and use those in it.",
)
@click.option(
    "--site", type=click.Path(path_type=Path), help="Also check the pages of a built site."
)
def accessible(axe: Path | None, work: Path | None, site: Path | None) -> None:
    """Run axe-core over every page, light and dark, desktop and phone. It is an error if a page
    violates a rule, writes to the console, or is wider than the screen.
    """
    with open_folder(work) as folder:
        script = (axe or _fetch_axe(folder)).read_text("utf-8")
        make_reports(folder)
        with open_pages(folder) as pages, _open_site(site) as others, open_browser() as browser:
            addresses = {**pages, **others}
            found = [
                f"{name}, {form.name}, {scheme}: {violation}"
                for name, url in track(list(addresses.items()), "axe")
                for form in FORMS[:2]
                for scheme in SCHEMES
                for violation in check_page(browser, url, form, scheme, script)
            ]
    click.echo(f"{len(addresses)} pages, {len(found)} violations")
    fail_on([*found, *browser.messages])


def check_page(browser: Browser, url: str, form: Form, scheme: str, axe: str) -> list[str]:
    """Return what axe-core finds on a page, and by how many pixels it is too wide."""
    browser.show(url, form, scheme)
    browser.stretch(form)
    browser.evaluate(f"{axe}; undefined")
    violations: list[str] = browser.evaluate(_AXE_RUN)
    beyond = browser.evaluate(_HOW_WIDE)
    return [*violations, *([f"{beyond} pixels are beyond the edge"] if beyond > 0 else [])]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing about requests."""


@contextmanager
def _open_site(folder: Path | None) -> Iterator[Mapping[str, str]]:
    """Serve a built site, as its links need a server, and yield the address of every page."""
    if folder is None:
        yield {}
        return
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}/"
        names = (str(page.relative_to(folder)) for page in sorted(folder.rglob("*.html")))
        yield {name: root + name for name in names}
        server.shutdown()


def _fetch_axe(folder: Path) -> Path:
    """Fetch axe-core from npm."""
    for command in (["npm", "pack", "axe-core", "--silent"], ["tar", "-xzf"]):
        archives = sorted(folder.glob("axe-core-*.tgz"))
        whole = [*command, archives[0].name] if command[0] == "tar" else command
        subprocess.run(whole, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "package" / "axe.min.js"
