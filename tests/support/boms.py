"""Bills of materials, held against their published schema."""

import json
from typing import Any


def read_bom(text: str) -> dict[str, Any]:
    """Read a bill of materials that follows CycloneDX 1.6."""
    # slow to import, even where other files are run
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document: dict[str, Any] = json.loads(text)
    return document
