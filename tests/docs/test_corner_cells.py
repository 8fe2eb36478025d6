"""The site's tables: an empty corner heads nothing."""

from tools.corner_cells import on_post_page


def test_an_empty_heading_is_a_cell_and_others_stay() -> None:
    page = '<tr><th style="text-align: left;"></th><th> </th><th>steps</th></tr>'
    expected = '<tr><td style="text-align: left;"></td><td></td><th>steps</th></tr>'
    assert on_post_page(page) == expected
