"""One chunk in a process without threads: `python -m support.fuzzing.worker CHUNK SEEDS KEPT`,
where CHUNK is a JSON object. Prints its row as another.
"""

import json
import sys
from pathlib import Path

from support.fuzzing.chunks import Chunk, try_chunk

if __name__ == "__main__":
    chunk, folder, kept = sys.argv[1:]
    row = try_chunk(Chunk(**json.loads(chunk)), Path(folder), Path(kept))
    sys.stdout.write(json.dumps(row))
