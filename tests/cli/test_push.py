"""push: the model, its report and its card reach a registry; a failed or other model does not."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from support import TESTS
from support.runs import Nhle, Unlearned
from support.shipped import LENET, SAMPLES, copy_sidecars

SCHEMAS = TESTS / "files" / "schemas" / "oci"  # of the OCI image specification
FILES = {"edited.onnx", "edited.report.json", "labels.txt", "preprocessor_config.json", "README.md"}


@pytest.fixture
def edited(unlearned_lenet: Unlearned, tmp_path: Path) -> Path:
    """An edited model that passed, with its report."""
    copy_sidecars(tmp_path)
    for path in (unlearned_lenet.edited, unlearned_lenet.edited.with_suffix(".report.json")):
        shutil.copy(path, tmp_path)
    return tmp_path / "edited.onnx"


def read_schema(name: str) -> jsonschema.Draft4Validator:
    documents = {path.name: json.loads(path.read_text("utf-8")) for path in SCHEMAS.glob("*.json")}
    resources = []
    for each, document in documents.items():  # their ids are addresses of the published site
        text = re.sub(r'"id": "https://opencontainers[^"]*",?', "", json.dumps(document))
        resource = Resource.from_contents(json.loads(text), DRAFT4)
        resources.append((each, resource))
    registry: Registry[Any] = Registry().with_resources(resources)
    return jsonschema.Draft4Validator({"$ref": name}, registry=registry)


def read_blob(layout: Path, descriptor: dict[str, Any]) -> bytes:
    content = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    assert hashlib.sha256(content).hexdigest() == descriptor["digest"].removeprefix("sha256:")
    assert len(content) == descriptor["size"]
    return content


@pytest.mark.usefixtures("no_network")
def test_an_oci_layout_keeps_the_published_schemas(
    edited: Path, nhle: Nhle, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    assert nhle("push", edited, "--to", f"oci:{layout}:v1").code == 0
    assert nhle("push", edited, "--to", f"oci:{layout}", "--to", f"oci:{layout}:v1").code == 0
    index = json.loads((layout / "index.json").read_text("utf-8"))
    read_schema("image-index-schema.json").validate(index)
    mark = json.loads((layout / "oci-layout").read_text("utf-8"))
    read_schema("image-layout-schema.json").validate(mark)
    tags = [each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]]
    assert tags == ["latest", "v1"]
    manifest = json.loads(read_blob(layout, index["manifests"][0]))
    read_schema("image-manifest-schema.json").validate(manifest)
    assert read_blob(layout, manifest["config"]) == b"{}"
    layers = {
        layer["annotations"]["org.opencontainers.image.title"]: read_blob(layout, layer)
        for layer in manifest["layers"]
    }
    assert layers.keys() == FILES
    assert layers["edited.onnx"] == edited.read_bytes()


def test_the_schema_refuses_what_is_no_manifest() -> None:
    with pytest.raises(jsonschema.ValidationError):
        read_schema("image-manifest-schema.json").validate({"schemaVersion": 2, "layers": []})


def test_oras_reads_the_layout(edited: Path, nhle: Nhle, tmp_path: Path) -> None:
    schemas = pytest.importorskip("oras.schemas")
    nhle("push", edited, "--to", f"oci:{tmp_path / 'layout'}")
    index = json.loads((tmp_path / "layout" / "index.json").read_text("utf-8"))
    manifest = json.loads(read_blob(tmp_path / "layout", index["manifests"][0]))
    jsonschema.validate(manifest, schemas.manifest)


def test_the_card_says_what_was_forgotten(edited: Path, nhle: Nhle, tmp_path: Path) -> None:
    nhle("push", edited, "--to", f"oci:{tmp_path / 'layout'}")
    cards = [path for path in (tmp_path / "layout/blobs/sha256").iterdir()
             if path.read_bytes().startswith(b"---\nlibrary_name")]  # fmt: skip
    _, front, text = cards[0].read_text("utf-8").split("---\n", 2)
    metadata = yaml.safe_load(front)
    assert "machine-unlearning" in metadata["tags"]
    metrics = metadata["model-index"][0]["results"][0]["metrics"]
    assert [metric["name"] for metric in metrics] == ["acc_f", "acc_r"]
    for said in ("## Forgetting", "3 Dress", "Verdict: **passed**", "can train it into the model"):
        assert said in text
    assert hashlib.sha256(edited.read_bytes()).hexdigest() in text


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("s3:bucket", "names no registry"),
        ("hf:", "names no registry"),
        ("oci", "names no registry"),
    ],
)
def test_an_unknown_registry_is_refused(target: str, said: str, edited: Path, nhle: Nhle) -> None:
    result = nhle("push", edited, "--to", target)
    assert result.code == 2
    assert said in result.err


def test_another_model_or_a_failed_one_is_not_pushed(
    edited: Path, nhle: Nhle, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    report = edited.with_suffix(".report.json")
    document = json.loads(report.read_text("utf-8"))
    failed = document | {"verdict": "failed", "passed": False}
    failed["checks"] = [
        document["checks"][0] | {"value": 0.5, "verdict": "failed", "passed": False}
    ]
    report.write_text(json.dumps(failed), "utf-8")
    result = nhle("push", edited, "--to", f"oci:{layout}")
    assert (result.code, "failed its gates" in result.err) == (3, True)
    report.write_text(json.dumps(document), "utf-8")
    shutil.copy(LENET, edited)
    assert nhle("push", edited, "--to", f"oci:{layout}").code == 3
    assert not layout.exists()


def test_a_folder_with_other_files_is_no_layout(edited: Path, nhle: Nhle) -> None:
    before = sorted(edited.parent.iterdir())
    result = nhle("push", edited, "--to", f"oci:{edited.parent}")
    assert (result.code, "is not an OCI layout" in result.err) == (3, True)
    assert sorted(edited.parent.iterdir()) == before


def test_unlearn_pushes_only_what_passed(nhle: Nhle, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    flags = ("--forget", 3, "--method", "cwm", "--data", SAMPLES, "--push", f"oci:{layout}", "-q")
    result = nhle("unlearn", LENET, *flags, "-o", tmp_path / "a.onnx", "--max-acc-r-drop", "-1")
    assert (result.code, "not pushed" in result.err, layout.exists()) == (1, True, False)
    result = nhle("unlearn", LENET, *flags, "-o", tmp_path / "b.onnx", "--max-uncertainty", "1")
    assert result.code == 0, result
    assert "pushed: oci:" in result.err
    assert (layout / "index.json").is_file()


class Hub(BaseHTTPRequestHandler):
    """What of the Hub's interface a push uses; `seen` has each request's path and body."""

    seen: ClassVar[list[tuple[str, bytes]]]
    address: ClassVar[str]
    mode = "regular"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.path, body))
        host = f"http://{self.headers['Host']}"
        answers: dict[str, Any] = {"/api/repos/create": {"url": f"{host}/a/b"}}
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            marked = [
                {"path": it["path"], "uploadMode": self.choose(it["path"]), "shouldIgnore": False}
                for it in files
            ]
            answers[self.path] = {"files": marked}
        if self.path.endswith("/objects/batch"):
            wanted = json.loads(body)["objects"]
            action = {"upload": {"href": f"{host}/put"}}
            answers[self.path] = {
                "transfer": "basic", "objects": [it | {"actions": action} for it in wanted],
            }  # fmt: skip
        if "/commit/" in self.path:
            oid = "0" * 40
            answers[self.path] = {"commitUrl": f"{host}/a/b/commit/{oid}", "commitOid": oid}
        self.answer(answers.get(self.path, {}))

    def do_PUT(self) -> None:
        self.seen.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer({})

    def do_GET(self) -> None:
        self.answer({"id": "a/b", "siblings": []})

    def choose(self, path: str) -> str:
        return self.mode if path.endswith(".onnx") else "regular"

    def answer(self, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub() -> Iterator[type[Hub]]:
    """A stand-in for the Hub on this machine."""

    class Mine(Hub):
        seen: ClassVar[list[tuple[str, bytes]]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    Thread(target=server.serve_forever, daemon=True).start()
    Mine.address = f"http://127.0.0.1:{server.server_port}"
    yield Mine
    server.shutdown()


@pytest.mark.parametrize("mode", ["regular", "lfs"])
def test_hugging_face(mode: str, hub: type[Hub], edited: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    hub.mode = mode
    result = run_elsewhere(
        ["push", str(edited), "--to", "hf:a/b", "--json"],
        HF_ENDPOINT=hub.address, HF_TOKEN="hf_x", HF_HOME=str(tmp_path / "hf"),  # noqa: S106
        HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_XET="1", NO_PROXY="127.0.0.1",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "/a/b/commit/" in json.loads(result.stdout)["pushed"][0]["place"]
    lines = next(body for path, body in hub.seen if "/commit/" in path).splitlines()
    sent = {line["value"].get("path"): line for line in map(json.loads, lines)}
    assert sent.keys() >= FILES
    card = base64.b64decode(sent["README.md"]["value"]["content"]).decode()
    assert "## Forgetting" in card
    assert b"private" in next(body for path, body in hub.seen if path.endswith("create"))
    put = [body for path, body in hub.seen if path == "/put"]
    assert put == ([edited.read_bytes()] if mode == "lfs" else [])
    assert sent["edited.onnx"]["key"] == ("lfsFile" if mode == "lfs" else "file")


def test_a_hub_that_is_not_there(edited: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    result = run_elsewhere(
        ["push", str(edited), "--to", "hf:a/b"], HF_ENDPOINT="http://127.0.0.1:9",
        HF_HOME=str(tmp_path / "hf"), NO_PROXY="127.0.0.1",
    )  # fmt: skip
    assert result.returncode == 3
    assert "was not pushed" in result.stderr
    assert "Traceback" not in result.stderr


def test_mlflow(edited: Path, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    store = (tmp_path / "mlruns").as_uri()
    home = tmp_path / "home"
    surroundings = {"MLFLOW_TRACKING_URI": store, "MLFLOW_ALLOW_FILE_STORE": "true",
                    "HOME": str(home)}  # fmt: skip
    for _ in range(2):
        result = run_elsewhere(["push", str(edited), "--to", "mlflow:forgetting"], **surroundings)
        assert result.returncode == 0, result.stderr
    assert not [*home.rglob("telemetry.json")]  # of the client's telemetry
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings.items():
            patch.setenv(name, value)
        client = mlflow.MlflowClient(store)
        experiment = client.get_experiment_by_name("forgetting")
        runs = client.search_runs([experiment.experiment_id])
        assert len(runs) == 2
        run = runs[0]
        assert run.data.metrics["after.acc_f"] == 0
        assert run.data.tags["nhle-onnx.verdict"] == "passed"
        assert run.data.params["method"] == "nhle-cwm"
        assert {each.path for each in client.list_artifacts(run.info.run_id)} == FILES
        copied = Path(client.download_artifacts(run.info.run_id, "edited.onnx", str(tmp_path)))
        assert copied.read_bytes() == edited.read_bytes()


def run_elsewhere(arguments: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, as clients read their surroundings once, and send no
    telemetry where those tell of a test.
    """
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "nhle_onnx", *arguments],
        env=kept | variables, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
