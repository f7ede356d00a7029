"""Tables as documents."""

from html.parser import HTMLParser
from pathlib import Path

from crdscache.page import html
from crdscache.page.html import Table


class Cells(HTMLParser):
    """Reads a document as a browser does: its elements, and the texts of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self._is_in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.add(tag)
        self._is_in_cell = tag in {"td", "th"}
        if self._is_in_cell:
            self.cells.append("")

    def handle_endtag(self, _: str) -> None:
        self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_in_cell:
            self.cells[-1] += data


def test_what_looks_like_mark_up_is_shown_as_it_is() -> None:
    hostile = "<script>alert('1')</script>&amp;\"<img src=x>"

    shown = Cells(html.document(Table(hostile, (hostile,), [(hostile,)])))

    assert shown.cells == [hostile, hostile]
    assert shown.tags.isdisjoint({"script", "img"})


def test_numbers_stand_right_and_have_commas() -> None:
    text = html.document(Table("Files", ("name", "bytes"), [("a", 1234567)]))

    assert '<td>a</td><td class="number">1,234,567</td>' in text


def test_a_long_table_is_cut_and_says_where_the_others_are() -> None:
    rows = [(f"file{number}",) for number in range(html.MOST_ROWS + 1234)]

    text = html.document(Table("Dark", ("name",), rows, where="verdicts.tsv"))

    assert Cells(text).cells == ["name", *(f"file{number}" for number in range(html.MOST_ROWS))]
    assert "<p>1,234 more in verdicts.tsv</p>" in text


def test_an_empty_table_says_why() -> None:
    assert "<p>never</p>" in html.document(Table("Runs", ("when",), [], "never"))


def test_a_name_that_is_no_text_can_be_written(tmp_path: Path) -> None:
    html.write(tmp_path / "t.html", Table("Dark", ("name",), [("\udcff.fits",)]))

    assert "<td>\\udcff.fits</td>" in (tmp_path / "t.html").read_text()
