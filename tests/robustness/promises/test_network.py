"""No network, no telemetry: every command and the kit's runner, watched from outside."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec

from support.shipped import EVALUATION, LENET, SAMPLES
from support.signing_keys import save_private, save_public

# One process for all commands, as their imports take longest; each may start others.
_DRIVER = """
import subprocess, sys, zipfile
from nhle_onnx.cli.main import run
for line in sys.stdin.read().splitlines():
    code = run(line.split())
    assert code in (0, 1, 6), (line, code)
zipfile.ZipFile("kit.zip").extractall("kit")
subprocess.run([sys.executable, "kit/verify.py"])
"""
_COMMANDS = f"""
inspect {LENET}
unlearn {LENET} --forget 3 --method cwm --data few.npz --out e.onnx --bom e.json --also ort
verify e.onnx --baseline {LENET} --forget 3 --data few.npz --engine processes --jobs 1
audit e.onnx --baseline {LENET} --forget 3 --data few.npz --repeats 1
diff {LENET} e.onnx
patch create {LENET} e.onnx -o p.nhlepatch
patch inspect p.nhlepatch
sign p.nhlepatch --key private.pem
check-signature p.nhlepatch --key public.pem
patch apply {LENET} p.nhlepatch -o made.onnx --require-signature public.pem --also ort
dossier case.toml -o dossier.zip --key private.pem
push e.onnx --to oci:layout
kit e.onnx --forget 3 --data few.npz -o kit.zip
fleet fleet.toml --engine local
doctor
"""
_INTERNET = re.compile(r"sa_family=AF_INET")  # a look-up connects as well


def _watch(folder: Path, script: str, given: str) -> tuple[str, list[Path]]:
    """Run a script of Python, and return its calls to the network and the files left elsewhere."""
    places = {name: folder / name for name in ("HOME", "TMPDIR")}
    work, trace = folder / "work", folder / "trace"
    for place in (*places.values(), work):
        place.mkdir(exist_ok=True)
    elsewhere = {name: str(place) for name, place in places.items()}
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    strace = shutil.which("strace")
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    flags = ["-f", "--seccomp-bpf", "-qq", "-e", calls, "-o", str(trace)]
    watcher = [strace, *flags] if strace else []
    run = subprocess.run(
        [*watcher, sys.executable, "-c", script],
        cwd=work, env=kept | elsewhere, input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = trace.read_text("utf-8", "replace").splitlines() if strace else []
    used = "\n".join(line for line in lines if _INTERNET.search(line))
    left = [path for place in places.values() for path in place.rglob("*") if path.is_file()]
    return used, left


def test_no_command_uses_the_network_or_writes_elsewhere(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    samples = np.load(EVALUATION)
    np.savez(work / "few.npz", x=samples["x"][::40], y=samples["y"][::40])
    key = ec.generate_private_key(ec.SECP256R1())
    save_private(work / "private.pem", key)
    save_public(work / "public.pem", key)
    (work / "fleet.toml").write_text(
        f'[[job]]\nmodel = "{LENET}"\nforget = 3\nmethod = "cwm"\nsamples = "{SAMPLES}"\n'
        'data = "few.npz"\n'
    )
    (work / "case.toml").write_text(
        '[request]\nid = "1"\nreceived = 2026-01-01\ncompleted = 2026-01-02\nforget = 3\n'
        '[files]\nedited = "e.onnx"\nunlearn = "e.report.json"\n'
        '[[signed_by]]\nname = "A"\nrole = "B"\ndate = 2026-01-02\n'
    )
    used, left = _watch(tmp_path, _DRIVER, _COMMANDS.strip())
    assert used == ""
    assert left == []


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    script = (
        "import pathlib, socket; socket.socket(2, 2).connect(('127.0.0.1', 9));"
        "(pathlib.Path.home() / 'x').touch()"
    )
    used, left = _watch(tmp_path, script, "")
    assert left == [tmp_path / "HOME" / "x"]
    assert used or not shutil.which("strace")
