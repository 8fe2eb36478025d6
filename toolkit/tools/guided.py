"""The package's readers under atheris, which finds new inputs by the coverage that they add.

    python -m tools.guided READER FOLDER [libFuzzer's flags]

FOLDER collects the corpus, which starts with valid files. Needs the extra `fuzz`.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nhle_onnx"]):
    from support.fuzzing.readers import READERS, read_stranger
    from support.fuzzing.small_files import SMALL_FILES


def main() -> None:
    """Run until an input fails, or as long as libFuzzer's flags say."""
    reader, folder, *flags = sys.argv[1:]
    if reader not in READERS:
        sys.exit(f"there is no reader {reader}: choose from {', '.join(READERS)}")
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "start").write_bytes(SMALL_FILES[reader]())
    with tempfile.TemporaryDirectory() as scratch:

        def try_input(content: bytes) -> None:
            read_stranger(content, reader, Path(scratch))

        atheris.Setup([sys.argv[0], folder, *flags], try_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
