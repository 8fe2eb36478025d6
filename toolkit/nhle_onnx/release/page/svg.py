"""Drawings as inline SVG: on light and on dark pages, several on one page, the same each time."""

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from nhle_onnx.release.page.elements import Picture

INK = "#010203"  # stands for the page's own text colour
_STYLE: Mapping[Any, object] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "text.color": INK,
    "text.parse_math": False,  # a label may hold a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
}
_WIDTH = 6.4  # inches
_REFERENCE = re.compile(r"(^|url\()#")  # href="#id", or url(#id) among the styles


def make_picture(
    name: str, draw: Callable[[Figure], None], *, title: str, alternative: str, caption: str
) -> Picture:
    """Draw a picture. On a page with several, its ids begin with `name`."""
    svg = _render_svg(name, alternative, draw)
    return Picture(title=title, svg=svg, alternative=alternative, caption=caption)


def _render_svg(name: str, alternative: str, draw: Callable[[Figure], None]) -> str:
    """Return an SVG element without any address in it; its ids begin with `name`."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's fonts draw the text
        mpl.rcdefaults()  # nobody's own settings
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": name})
        figure = Figure(figsize=(_WIDTH, _WIDTH / 2), layout="constrained")
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(stream.getvalue())  # noqa: S314 - matplotlib wrote it, and escaped it
    return _to_inline(root, name, alternative)


def _to_inline(root: ET.Element, name: str, alternative: str) -> str:
    """Return the drawing as HTML takes it: without namespaces, metadata and fixed size."""
    for element in root.iter():
        element.tag = _strip_namespace(element.tag)
        element.attrib = {
            _strip_namespace(key): _adapt(_strip_namespace(key), value, name)
            for key, value in element.attrib.items()
        }
    for metadata in root.findall("metadata"):
        root.remove(metadata)
    view = root.attrib["viewBox"]
    root.attrib = {"viewBox": view, "role": "img", "aria-label": alternative}
    title = ET.Element("title")
    title.text = alternative
    root.insert(0, title)
    return ET.tostring(root, encoding="unicode")


def _strip_namespace(name: str) -> str:
    return name.rpartition("}")[2]


def _adapt(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if value.startswith("#") and key != "href":
        return value.replace(INK, "currentColor")  # a colour as an attribute of its own
    return _REFERENCE.sub(rf"\1#{name}-", value.replace(INK, "currentColor"))
