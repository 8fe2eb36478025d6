"""Reports in a browser: what the server answers, to whom, and what it never does."""

import http.client
import json
import webbrowser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.report import render_json
from nhle_onnx.release.viewer.documents import read_document, read_documents
from nhle_onnx.release.viewer.pages import list_pages
from nhle_onnx.release.viewer.server import PageServer
from support.assertions import assert_refuses
from support.detection_reports import DETECTED
from support.reports import AUDIT, EDIT, FLEET, HOSTILE, OUTCOMES, VERIFICATION
from support.runs import Nhle

REPORTS = {"edit": EDIT, "verify": VERIFICATION, "audit": AUDIT, "fleet": FLEET}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reports")
    for name, report in REPORTS.items():
        (path / f"{name}.json").write_text(render_json(report), "utf-8")
    (path / "other.json").write_text('{"schema": "another"}', "utf-8")
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[PageServer]:
    with PageServer(list_pages(read_documents((folder,)))) as found:
        thread = Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()


def ask(
    server: PageServer, path: str, *, method: str = "GET", host: str | None = None
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    headers = {"Host": host} if host else {}
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response, response.read().decode()


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_read_back_as_it_was(name: str, folder: Path) -> None:
    assert read_document(folder / f"{name}.json").report == REPORTS[name]


def test_the_first_page_lists_every_report(server: PageServer) -> None:
    response, page = ask(server, f"/{server.token}/")
    assert response.status == 200
    for number, name in enumerate(("audit", "edit", "fleet", "verify")):
        assert f'<a href="report/{number}">{name}.json</a>' in page
    assert "What attacks found in the edited models" in page
    assert "other.json" not in page
    assert HOSTILE not in page


@pytest.mark.parametrize("opens", [True, False])
def test_a_browser_is_opened_where_one_is_wanted(
    opens: bool,  # noqa: FBT001 - a parameter
    folder: Path,
    nhle: Nhle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.append)

    def interrupt(_: PageServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupt)
    result = nhle("view", folder, *(["--open"] if opens else []))
    assert result.code == 0
    assert shown == ([result.out.strip()] if opens else [])
    assert result.out.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("number", [2, 3])  # all kinds are drawn in test_page.py
def test_a_report_has_a_page(number: int, server: PageServer) -> None:
    response, page = ask(server, f"/{server.token}/report/{number}")
    assert response.status == 200
    assert HOSTILE not in page
    assert "<script" not in page


@pytest.mark.parametrize(
    "path",
    [
        "/", "/report/0", "//report/0", "/wrong/report/0", "/{token}", "/{token}/report/9",
        "/{token}/../../etc/passwd", "/{token}/%2e%2e/%2e%2e/etc/passwd", "/{token}//etc/passwd",
        "/{token}/report/0?x=1", "/{token}/report/-1", "*", "/é",
    ],
)  # fmt: skip
def test_nothing_else_is_served(path: str, server: PageServer) -> None:
    asked = path.replace("{token}", server.token).encode().decode("latin-1")
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.putrequest("GET", "/", skip_host=False)
    connection._buffer[0] = b"GET " + asked.encode("latin-1") + b" HTTP/1.1"  # type: ignore[attr-defined]
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 404
    assert response.read() == b"no such page"


def test_a_strangers_name_for_this_machine_is_not_served(server: PageServer) -> None:
    response, _ = ask(server, f"/{server.token}/", host="evil.example:80")
    assert response.status == 421


def test_the_server_listens_on_loopback_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address.startswith("http://127.0.0.1:")
    assert len(server.token) >= 32


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(method: str, server: PageServer) -> None:
    response, _ = ask(server, f"/{server.token}/", method=method)
    assert response.status == 501


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_may_load_and_run_nothing(method: str, server: PageServer) -> None:
    response, page = ask(server, f"/{server.token}/", method=method)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert bool(page) is (method == "GET")


def test_a_page_that_cannot_be_drawn_is_an_answer() -> None:
    def fail() -> str:
        raise IndexError

    with PageServer({"": fail}) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert ask(server, f"/{server.token}/")[0].status == 422
        server.shutdown()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"schema": "nhle-onnx/report/v2"}', '{"schema": ["a"]}', "[" * 100_000,
        render_json(EDIT).replace('"seed": 7', '"seed": NaN'),
        render_json(replace(EDIT, forget=(99,))),
        render_json(EDIT).replace('"true": 8', '"true": -1'),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InputRefusedError, match=r"a\.json is not a report that can be shown"):
        read_documents((path,))


def test_a_folder_without_reports_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    error = assert_refuses(lambda: read_documents((tmp_path, other)))
    assert error.reason == f"there is no report in {tmp_path}, {other}"
    assert error.remedy == (
        "Give a .report.json of `unlearn`, or the JSON output of `verify`, `audit` or `fleet`."
    )


def test_every_report_has_its_page(folder: Path) -> None:
    pages = list_pages(read_documents((folder / "fleet.json", folder / "verify.json")))
    assert list(pages) == ["", "report/0", "report/1"]
    assert "broken" in pages["report/0"]()
    assert "What attacks found" not in pages[""]()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (render_json(replace(EDIT, forget=(10,))), "it names class 10 of 10"),
        (render_json(EDIT).replace('"true": 8', '"true": 11'), "it names class 11 of 10"),
        (
            render_json(
                replace(EDIT, outcomes=replace(OUTCOMES, confusion={"edited": ((0, 12, 1),)}))
            ),
            "it names class 12 of 10",
        ),
        (render_json(DETECTED).replace('"index": 0', '"index": 3'), "it names class 3 of 3"),
        (render_json(replace(DETECTED, forget=(4,), scenes=())), "it names class 4 of 3"),
        (render_json(replace(DETECTED, forget=(4,))), "it names class 4 of 3"),
        ("[]", "it is not a JSON object"),
        ('{"schema": "x"}', "'x'"),
    ],
)
def test_classes_that_are_not_there_are_named(document: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(document, "utf-8")
    error = assert_refuses(lambda: read_document(path))
    assert error.reason == f"{path} is not a report that can be shown: {reason}"
    assert error.remedy.startswith("Give a .report.json of `unlearn`, or the JSON output of ")


def test_reports_of_the_first_version_are_read(tmp_path: Path) -> None:
    document = json.loads(render_json(EDIT)) | {"schema": "nhle-onnx/report/v1"}
    del document["outcomes"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document), "utf-8")
    assert read_document(path).report.labels == EDIT.labels  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ['{"schema": "a", "schema": "b"}', '{"a": NaN}', "[" * 100_000])
def test_a_document_that_readers_would_show_differently_is_refused(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(InputRefusedError, match=r"repeated key|not a JSON number|too deeply"):
        read_document(path)
