import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdscache.contexts import mapping
from crdscache.contexts.mapping import (
    Key,
    Level,
    Mapping,
    Node,
    Selector,
    SelectorClass,
    Table,
    parse_mapping,
)
from crdscache.errors import MappingError

RMAP = "hst_acs_darkfile_0001.rmap"
HEADER = """header = {
    'derived_from' : 'by hand',
    'filekind' : 'DARKFILE',
    'instrument' : 'ACS',
    'mapping' : 'REFERENCE',
    'name' : 'hst_acs_darkfile_0001.rmap',
    'observatory' : 'HST',
    'parkey' : (('DETECTOR', 'CCDAMP'), ('DATE-OBS', 'TIME-OBS')),
    'sha1sum' : 'SUM',
}
"""
SELECTOR = """
selector = Match({
    ('WFC', -1.5) : UseAfter({
        '2002-03-01 00:00:00' : 'x1234567j_drk.fits',
    }),
})
"""


def summed(text: str) -> bytes:
    """Put the right sum into the place for it."""
    kept = [line for line in text.splitlines(keepends=True) if "sha1sum" not in line]
    return text.replace("SUM", hashlib.sha1("".join(kept).encode()).hexdigest()).encode()


def parse(text: str) -> Mapping:
    return parse_mapping(RMAP, text.encode())


def parse_selector(text: str) -> Selector | Table:
    return parse(f"{HEADER}selector = {text}\n").selector


def match(*items: tuple[Key, Node]) -> Selector:
    return Selector(SelectorClass.MATCH, items)


def test_an_rmap_is_read_whole() -> None:
    data = summed(f'# made by hand\n{HEADER}comment = """two\nlines"""\n{SELECTOR}')

    read = parse_mapping(RMAP, data)

    use_after = Selector(SelectorClass.USE_AFTER, (("2002-03-01 00:00:00", "x1234567j_drk.fits"),))
    assert read == Mapping(
        name=RMAP,
        level=Level.RMAP,
        observatory="hst",
        instrument="acs",
        reftype="darkfile",
        header={
            "derived_from": "by hand",
            "filekind": "DARKFILE",
            "instrument": "ACS",
            "mapping": "REFERENCE",
            "name": "hst_acs_darkfile_0001.rmap",
            "observatory": "HST",
            "parkey": (("DETECTOR", "CCDAMP"), ("DATE-OBS", "TIME-OBS")),
            "sha1sum": read.text_sha1,
        },
        selector=match((("WFC", -1.5), use_after)),
        comment="two\nlines",
        header_sha1=read.text_sha1,
        text_sha1=read.text_sha1,
    )
    assert read.has_right_sum


@pytest.mark.parametrize(
    ("level", "word", "instrument"), [(Level.PMAP, "PIPELINE", ""), (Level.IMAP, "INSTRUMENT", "acs")]
)
def test_pmap_and_imap_hold_a_table_of_names(level: Level, word: str, instrument: str) -> None:
    text = HEADER.replace("REFERENCE", word) + "selector = {'A' : 'a', 'B' : 'N/A', 'A' : 'c'}"

    read = parse_mapping(f"hst.{level.value}", text.encode())

    assert read.selector == Table((("A", "a"), ("B", "N/A"), ("A", "c")))
    assert (read.level, read.instrument, read.reftype) == (level, instrument, "")


def test_sections_may_come_in_any_order() -> None:
    read, usual = parse(SELECTOR + HEADER), parse(HEADER + SELECTOR)

    assert (read.header, read.selector) == (usual.header, usual.selector)


@pytest.mark.parametrize("word", [each.value for each in SelectorClass])
def test_each_selector_class_is_known(word: str) -> None:
    assert parse_selector(f"{word}({{1 : 'x'}})") == Selector(SelectorClass(word), ((1, "x"),))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("'a' 'b'", "ab"),
        ("()", ()),
        ("(1, -2, 1.5, -0.0, True, None, 'x')", (1, -2, 1.5, -0.0, True, None, "x")),
        ("('x', ['a', 'b'])", ("x", ("a", "b"))),
        ("1e400", float("inf")),
        ("-9223372036854775808", -(2**63)),
        ("'\\u2028\\x00'", "\u2028\x00"),
        (r"'\d'", r"\d"),
        ('"""a\nb"""', "a\nb"),
    ],
)
def test_keys_are_read_as_they_stand(text: str, key: Key) -> None:
    read = parse_selector(f"Match({{{text} : 'x'}})")

    assert repr(read) == repr(match((key, "x")))  # text tells 1 from True and 0.0 from -0.0


def test_leaves_are_names_or_hold_names() -> None:
    read = parse_selector("Match({1 : 'a', 2 : ('b', 'c'), 3 : {'x' : 'd'}, 4 : ['e'], 5 : Match({})})")

    expected = match((1, "a"), (2, ("b", "c")), (3, Table((("x", "d"),))), (4, ("e",)), (5, match()))
    assert read == expected


def test_repeated_keys_of_the_selector_are_kept_and_of_the_header_the_last_counts() -> None:
    read = parse(f"{HEADER.replace('}', repr('name') + ': 1}')}selector = Match({{'a' : 'x', 'a' : 'y'}})")

    assert read.selector == match(("a", "x"), ("a", "y"))
    assert read.header["name"] == 1


def test_header_values_may_be_tables() -> None:
    header = HEADER.replace("}", "'hooks' : {'a' : {'b' : [1, -2, None]}, ('c', 1) : ''}}")

    assert parse(header + SELECTOR).header["hooks"] == {"a": {"b": (1, -2, None)}, ("c", 1): ""}


FOREIGN = {
    "call": "{canary}",
    "call in a key": "Match({{{canary} : 'x'}})",
    "call in a value": "Match({{1 : {canary}}})",
    "call in an argument": "Match({canary})",
    "import": "__import__('os')",
    "attribute": "Match({{}}).items",
    "method": "Match({{}}).items()",
    "attribute as class": "os.Match({{}})",
    "subscript": "Match({{}})[0]",
    "comprehension": "[x for x in {canary}]",
    "dictionary comprehension": "Match({{x : x for x in {canary}}})",
    "formatted string": "Match({{1 : f'{{{canary}}}'}})",
    "walrus": "(x := {canary})",
    "lambda": "Match({{1 : lambda: {canary}}})",
    "condition": "Match({{1 : 'x' if {canary} else 'y'}})",
    "comparison": "Match({{1 : 1 < 2}})",
    "sum": "Match({{1 : 'x' + 'y'}})",
    "set": "Match({{1 : {{'x'}}}})",
    "starred": "Match(*[{{}}])",
    "unpacked": "Match({{**{{}}}})",
    "unpacked arguments": "Match(**{{}})",
    "keyword": "Match({{}}, x=1)",
    "two arguments": "Match({{}}, {{}})",
    "no argument": "Match()",
    "other class": "BestMatch({{}})",
    "bytes": "Match({{1 : b'x'}})",
    "bytes in a key": "Match({{b'x' : 'x'}})",
    "complex number": "Match({{1j : 'x'}})",
    "ellipsis": "Match({{... : 'x'}})",
    "number as a leaf": "Match({{1 : 7}})",
    "None as a leaf": "Match({{1 : None}})",
    "name as a leaf": "Match({{1 : x}})",
    "table as a key": "Match({{{{}} : 'x'}})",
    "minus text": "Match({{-'x' : 'x'}})",
    "minus True": "Match({{-True : 'x'}})",
    "two minuses": "Match({{--1 : 'x'}})",
    "plus": "Match({{+1 : 'x'}})",
    "long number": "Match({{0xFFFFFFFFFFFFFFFFF : 'x'}})",
    "table": "{{}}",
    "text": "'N/A'",
}


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN)
def test_S11_foreign_expression_is_refused_with_its_line_and_not_run(text: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    selector = text.format(canary=f"open({str(canary)!r}, 'w')")

    with pytest.raises(MappingError) as caught:
        parse_selector(selector)

    assert caught.value.line == len(HEADER.splitlines()) + 1
    assert not canary.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "import os",
        "from os import path",
        "x = 1",
        "header: dict = {}",
        "header['x'] = 1",
        "header.x = 1",
        "header, x = {}, 1",
        "comment = header = {}",
        "comment += 'x'",
        "print('x')",
        "'text'",
        "pass",
        "if True: pass",
        "def Match(x): pass",
        "@print\nclass Match: pass",
        "while True: pass",
        "del header",
        "with open('x'): pass",
        "selector = Match({})",
        "header = {}",
    ],
)
def test_S11_foreign_statement_is_refused(statement: str) -> None:
    with pytest.raises(MappingError) as caught:
        parse(f"{HEADER}{SELECTOR}{statement}\n")

    # Python counts a decorated class from its own line.
    assert caught.value.line == len((HEADER + SELECTOR + statement).splitlines())


NESTED = {
    "brackets": "(" * 10**5,
    "closed brackets": "Match({1 : " + "(" * 150 + "'x'" + ",)" * 150 + "})",
    "minus": "-" * 10**5 + "1",
    "sum": "1" + "+1" * 10**5,
    "not": "not " * 10**5 + "1",
    "attributes": "a" + ".a" * 10**5,
    "tables": "Match({1 : " * 60 + "'x'" + "})" * 60,
    "keys": "Match({" + "(" * 60 + "'x'" + ",)" * 60 + " : 'x'})",
    "digits": "9" * 5000,
    "one line": "'" + "x" * 2**21 + "'",
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_S12_nesting_and_length_are_limited(text: str) -> None:
    with pytest.raises(MappingError):
        parse_selector(text)


def test_S12_header_is_limited_in_depth_too() -> None:
    header = HEADER.replace("}", "'x' : " + "[" * 60 + "]" * 60 + "}")

    with pytest.raises(MappingError, match="line 10: nested deeper than 50"):
        parse(header + SELECTOR)


DENSE = {
    "statements": "'a;' * 2**20",
    "names": "'(' + 'a,' * (2**20 - 1) + ')'",
    "numbers": "'(' + '1,' * 199_000 + ')'",
    "calls": "'a' + '()' * 199_000",
    "formatted text": "'(' + '{a}'.join(['f\"'] + [''] * 600_000 + ['\"']) + ')'",
    "lines": "'\\n' * 2**21",
    "open text": "'\"\"\"' + '\\n' * (2**21 - 3)",
}


@pytest.mark.parametrize("text", DENSE.values(), ids=DENSE)
def test_S12_text_that_is_all_syntax_does_not_eat_the_memory(text: str) -> None:
    # Not by getrusage: that counts from the memory of the process that started this one, the tests' own.
    program = f"""
from pathlib import Path
from crdscache.contexts.mapping import parse_mapping
from crdscache.errors import MappingError
try:
    parse_mapping("hst.pmap", ({text}).encode())
except MappingError:
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""

    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )

    assert run.stderr == ""
    assert int(run.stdout) < 512 * 1024


def test_R10_mapping_over_the_limit_is_not_looked_at() -> None:
    size = mapping.MAX_BYTES + 1

    with pytest.raises(MappingError, match=f"{size} bytes, more than the {mapping.MAX_BYTES} allowed"):
        parse_mapping(RMAP, b"\xff" * size)


def test_R10_large_mapping_within_the_limits_is_read() -> None:
    """Above a certain length the words are counted first; dates and names must count as one word each."""
    line = "    ('WFC', {0}, 1.0) : 'x1234567j_drk.fits',\n"
    text = f"{HEADER}selector = Match({{\n{''.join(line.format(number) for number in range(25_000))}}})\n"
    assert len(text) > 2 * mapping.MAX_TOKENS

    read = parse(text)

    assert len(read.selector.items) == 25_000


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_S16_line_ends_of_other_systems_do_not_change_the_sum(ending: str) -> None:
    data = summed(HEADER + SELECTOR)

    read = parse_mapping(RMAP, data.replace(b"\n", ending.encode()))

    assert read == parse_mapping(RMAP, data)
    assert read.has_right_sum


@pytest.mark.parametrize("added", ["", "# \u2028 \x0b \x0c \x85", "\f", "# no line end", "# caf\u00e9"])
def test_S16_odd_characters_are_summed_as_they_stand(added: str) -> None:
    assert parse_mapping(RMAP, summed(HEADER + SELECTOR + added)).has_right_sum


def test_each_line_that_mentions_the_sum_is_left_out_of_it() -> None:
    with_comment = parse_mapping(RMAP, summed("# the sha1sum below\n" + HEADER + SELECTOR))

    assert with_comment.text_sha1 == parse(HEADER + SELECTOR).text_sha1
    assert with_comment.has_right_sum


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\0",
        b"\xef\xbb\xbf" + summed(HEADER + SELECTOR),
        summed(HEADER + SELECTOR) + b"\0",
        summed(HEADER + SELECTOR) + b"# \xff",
        (HEADER + SELECTOR).encode("utf-16"),
        b"# coding: rot13\n" + summed(HEADER)[1:],
        summed(HEADER + SELECTOR)[:-5],
        summed(HEADER),
        summed(SELECTOR),
    ],
    ids=[
        "empty",
        "blank",
        "NUL",
        "BOM",
        "NUL last",
        "latin-1",
        "utf-16",
        "coding",
        "cut",
        "header",
        "selector",
    ],
)
def test_S16_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(MappingError):
        parse_mapping(RMAP, data)


@pytest.mark.parametrize("claim", ["0" * 40, "", "none"])
def test_S15_wrong_sum_is_told_and_does_not_hinder(claim: str) -> None:
    read = parse(HEADER.replace("SUM", claim) + SELECTOR)

    assert (read.header_sha1, read.has_right_sum) == (claim, False)


def test_S15_sum_may_be_missing_or_no_text() -> None:
    for header in (HEADER.replace("'sha1sum' : 'SUM',", ""), HEADER.replace("'SUM'", "7")):
        read = parse(header + SELECTOR)

        assert (read.header_sha1, read.has_right_sum) == (None, False)


def test_S15_sum_may_be_in_upper_case() -> None:
    right = parse(HEADER + SELECTOR).text_sha1

    assert parse(HEADER.replace("SUM", right.upper()) + SELECTOR).has_right_sum


def test_S15_name_in_the_header_may_differ() -> None:
    assert parse_mapping("hst_acs_other.rmap", (HEADER + SELECTOR).encode()).name == "hst_acs_other.rmap"


def test_S15_ending_decides_where_the_header_does_not_say() -> None:
    assert parse(HEADER.replace("'mapping' : 'REFERENCE',", "") + SELECTOR).level is Level.RMAP


@pytest.mark.parametrize("word", ["'PIPELINE'", "'x'", "7", "None"])
def test_S15_header_of_another_kind_is_refused(word: str) -> None:
    with pytest.raises(MappingError, match=r"the header says .*, the name ends in \.rmap"):
        parse(HEADER.replace("'REFERENCE'", word) + SELECTOR)


@pytest.mark.parametrize("name", ["x.fits", "rmap", "x.RMAP", "x.rmap.part"])
def test_S15_name_that_is_no_mapping_is_refused(name: str) -> None:
    with pytest.raises(MappingError, match=r"ends in \.pmap, \.imap or \.rmap"):
        parse_mapping(name, summed(HEADER + SELECTOR))


@pytest.mark.parametrize("key", ["name", "derived_from", "parkey", "observatory", "instrument", "filekind"])
def test_header_that_lacks_a_needed_key_is_refused(key: str) -> None:
    with pytest.raises(MappingError, match=f"the header has no {key}"):
        parse(HEADER.replace(f"'{key}'", "'other'") + SELECTOR)


@pytest.mark.parametrize("word", ["../../etc", "a/b", "", " ", "a b", ".", "x\\n", "\\u0430cs"])
@pytest.mark.parametrize("key", ["HST", "ACS", "DARKFILE"])
def test_S07_words_that_could_lead_elsewhere_are_refused(key: str, word: str) -> None:
    """The instrument becomes a directory."""
    with pytest.raises(MappingError, match="not a word"):
        parse(HEADER.replace(f"'{key}'", f"'{word}'") + SELECTOR)


@pytest.mark.parametrize(
    ("level", "selector"),
    [
        (Level.PMAP, "Match({})"),
        (Level.IMAP, "'N/A'"),
        (Level.PMAP, "{'a' : ('x', 'y')}"),
        (Level.IMAP, "{'a' : {'b' : 'x'}}"),
        (Level.RMAP, "{'a' : 'x'}"),
        (Level.RMAP, "('x', 'y')"),
    ],
)
def test_selector_of_the_wrong_form_is_refused(level: Level, selector: str) -> None:
    header = HEADER.replace("'mapping' : 'REFERENCE',", "")

    with pytest.raises(MappingError, match="line 11: the selector of an"):
        parse_mapping(f"x.{level.value}", f"{header}selector = {selector}".encode())


@pytest.mark.parametrize("header", ["header = 'x'", "header = {1 : 'x'}", "header = {('x',) : 1}"])
def test_header_that_is_no_table_of_words_is_refused(header: str) -> None:
    with pytest.raises(MappingError, match="line 1"):
        parse(f"{header}\n{SELECTOR}")


def test_comment_that_is_no_text_is_refused() -> None:
    with pytest.raises(MappingError, match="line 11: the comment must be text"):
        parse(f"{HEADER}comment = 7\n{SELECTOR}")


scalars = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
trees = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.lists(st.tuples(keys, inner), max_size=3).map(lambda items: Table(tuple(items))),
        st.builds(
            Selector, st.sampled_from(SelectorClass), st.lists(st.tuples(keys, inner), max_size=3).map(tuple)
        ),
    ),
    max_leaves=20,
)


def written(node: Node) -> str:
    """Write a tree as a mapping has it: the reverse of the parser."""
    if isinstance(node, str):
        return repr(node)
    if isinstance(node, tuple):
        return f"({''.join(f'{written(each)}, ' for each in node)})"
    table = f"{{{', '.join(f'{key!r} : {written(each)}' for key, each in node.items)}}}"
    return table if isinstance(node, Table) else f"{node.class_name.value}({table})"


@given(st.builds(Selector, st.sampled_from(SelectorClass), st.lists(st.tuples(keys, trees)).map(tuple)))
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read_again(selector: Selector) -> None:
    assert repr(parse_selector(written(selector))) == repr(selector)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_of_any_kind_ends_in_our_own_error(data: st.DataObject) -> None:
    whole = summed(HEADER + SELECTOR)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    middle = data.draw(
        st.one_of(st.binary(max_size=20), st.text("(){}[]'\"\\\n#:,=-x1 ", max_size=20).map(str.encode))
    )

    try:
        told = repr(parse_mapping(RMAP, whole[:start] + middle + whole[end:]))
    except MappingError as error:
        told = str(error)

    assert told.isprintable()
