"""Hugging Face Hub, through its own client: the extra `hub`. Its token is found as its own tools
find it; HF_ENDPOINT names another Hub.
"""

import os

from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.values.push import Package


def push_hugging_face(place: str, package: Package) -> str:
    """Make or update a repository in one commit; return its address."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    try:
        import huggingface_hub as hub  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "hf: needs a package that is not installed: huggingface_hub"
        raise UsageError(message, remedy="Install the extra: pip install '.[hub]'.") from error
    sources = {name: str(path) for name, path in package.files.items()}
    contents: dict[str, str | bytes] = {**sources, "README.md": package.card.encode()}
    operations = [
        hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=source)
        for name, source in sorted(contents.items())
    ]
    message = f"{package.name}, made to forget by {' '.join(package.report.tool.values())}"
    try:
        api = hub.HfApi()
        api.create_repo(place, private=True, exist_ok=True)
        commit = api.create_commit(place, operations, commit_message=message)
    except Exception as error:  # the client's errors share no base class
        reason = " ".join(str(error).split()) or type(error).__name__
        text = f"hf:{place} was not pushed: {reason}"
        raise InputRefusedError(
            text, remedy="Check the name, and log in with `hf auth login` or HF_TOKEN."
        ) from error
    return str(commit.commit_url)
