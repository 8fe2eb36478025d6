"""The code's simplicity in figures: `python -m tools.metrics` prints them for this checkout.

For another revision: `git worktree add before REVISION`, then
`python -m tools.metrics --root before`.
"""

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
LONG_FILE = 250  # lines
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
ALLOWED = ("cli", "api", "release/kit/runners")  # where flags may be named; scripts have their own
LOOKUP = "dict(list_tensors("


@click.command()
@click.option("--root", type=click.Path(path_type=Path), default=ROOT, help="A checkout.")
def main(root: Path) -> None:
    """Print a line for each figure."""
    for name, figure in measure(root).items():
        click.echo(f"{figure:>10}  {name}")


def measure(root: Path) -> dict[str, int | float]:
    """Return every figure by its name."""
    package = root / "toolkit" / "nhle_onnx"
    files = {path: path.read_text("utf-8") for path in sorted(package.rglob("*.py"))}
    functions = [each for text in files.values() for each in list_functions(text)]
    lengths = sorted(count_length(each) for each in functions)
    own = {path: text for path, text in files.items() if not is_allowed(path, package)}
    return {
        "lines of the package": sum(len(text.splitlines()) for text in files.values()),
        "median lines of a function": statistics.median(lengths),
        "90th percentile of these": lengths[int(0.9 * len(lengths))],
        f"files over {LONG_FILE} lines": sum(
            len(text.splitlines()) > LONG_FILE for text in files.values()
        ),
        "most parameters of a function": max(map(count_parameters, functions)),
        "import circles": len(list_circles(files, package.parent)),
        "lines that name a flag outside cli/ and api/": sum(map(count_flags, own.values())),
        "lookups of tensors by rebuilding a dict": sum(
            text.count(LOOKUP) for path, text in files.items() if path.name != "index.py"
        ),
        "lines of JSON under docs/": count_lines(root, "docs", ("json", "jsonl")),
        "lines of Python in studies and benchmarks": sum(
            count_lines(root, f"toolkit/{folder}", ("py",)) for folder in ("studies", "benchmarks")
        ),
    }


def list_functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """List every function and method of a file."""
    for each in ast.walk(ast.parse(text)):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield each


def count_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function, with signature and docstring."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def count_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's parameters, including keyword-only ones."""
    arguments = function.args
    return len([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs])


def is_allowed(path: Path, package: Path) -> bool:
    """Whether a file may name flags."""
    return path.relative_to(package).as_posix().startswith(ALLOWED)


def count_flags(text: str) -> int:
    """Count the lines of a file with a flag in a string that is not a docstring."""
    tree = ast.parse(text)
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(each.body[0].value)
        for each in ast.walk(tree)
        if isinstance(each, owners) and each.body and isinstance(each.body[0], ast.Expr)
    }
    lines = {
        each.lineno
        for each in ast.walk(tree)
        if isinstance(each, ast.Constant)
        and isinstance(each.value, str)
        and id(each) not in docstrings
        and FLAG.search(each.value)
    }
    return len(lines)


def list_circles(files: dict[Path, str], base: Path) -> list[tuple[str, ...]]:
    """List groups of modules that import each other."""
    names = {name_module(path, base): text for path, text in files.items()}
    graph = {name: set(list_imports(text)) & names.keys() for name, text in names.items()}
    reached = {name: reach(name, graph) for name in graph}
    groups = {
        tuple(sorted(other for other in found if name in reached[other]))
        for name, found in reached.items()
        if name in found
    }
    return sorted(groups)


def name_module(path: Path, base: Path) -> str:
    """Return `a.b` for a/b.py and for a/b/__init__.py."""
    return ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


def list_imports(text: str) -> Iterator[str]:
    """List the modules that a file imports, anywhere in it."""
    for each in ast.walk(ast.parse(text)):
        if isinstance(each, ast.ImportFrom) and each.module:
            yield each.module
            yield from (f"{each.module}.{alias.name}" for alias in each.names)
        elif isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)


def reach(start: str, graph: dict[str, set[str]]) -> set[str]:
    """Return all direct and indirect imports of a module."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found


def count_lines(root: Path, folder: str, suffixes: tuple[str, ...]) -> int:
    """Count the lines of the tracked files in a folder."""
    command = ["git", "ls-files", folder]
    listed = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    chosen = [root / name for name in listed if name.rpartition(".")[2] in suffixes]
    return sum(len(path.read_text("utf-8").splitlines()) for path in chosen if path.exists())


if __name__ == "__main__":
    main()
