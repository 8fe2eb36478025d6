"""Pages as HTML: one file that needs no other, and no network."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from nhle_onnx.release.page.elements import Page

_ENVIRONMENT = Environment(
    loader=PackageLoader("nhle_onnx.release", "page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render_page(page: Page) -> str:
    """Render the page as an HTML document. Only the pictures' SVG goes in as it is."""
    return _ENVIRONMENT.get_template("page.html.j2").render(page=page)
