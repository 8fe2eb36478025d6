"""Write all texts anew."""

from support.expected import FOLDER, heads, release

for package, documents in {"release": release.DOCUMENTS, "graph": heads.DOCUMENTS}.items():
    for name, render in documents.items():
        (FOLDER / package / name).write_text(render(), "utf-8")
