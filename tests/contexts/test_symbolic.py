import re

import pytest

from crdscache.contexts import symbolic
from crdscache.contexts.mapping import Mapping, parse_mapping
from crdscache.contexts.symbolic import Narrow
from crdscache.errors import MappingError, MissingMappingError, SettingsError
from demo import observatory

CONTEXT = "hst_0001.pmap"
TABLES = {
    CONTEXT: {
        "ACS": "hst_acs_1.imap",
        "cos": "N/A",
        "SYSTEM": "hst_system_1.imap",
        "WFC3": "hst_wfc3_1.imap",
    },
    "hst_acs_1.imap": {"DARKFILE": "hst_acs_darkfile_1.rmap", "pars-x": "hst_acs_pars-x_1.rmap"},
    "hst_system_1.imap": {"darkfile": "hst_system_darkfile_1.rmap"},
    "hst_wfc3_1.imap": {"darkfile": "hst_wfc3_darkfile_1.rmap", "mlintab": "omit", "pars-x": "n/a"},
}


def read(name: str, tables: dict[str, dict[str, str]] = TABLES) -> Mapping:
    if name not in tables:
        raise MissingMappingError(name)
    header: dict[str, object] = {"derived_from": "by hand", "name": name, "observatory": "HST", "parkey": ()}
    of_level = {"mapping": "INSTRUMENT", "instrument": "ACS"} if "imap" in name else {"mapping": "PIPELINE"}
    return parse_mapping(name, observatory.render(header | of_level, repr(tables[name])))


def find(text: str, tables: dict[str, dict[str, str]] = TABLES) -> tuple[str, ...]:
    narrow = symbolic.parse(text, "hst")
    assert narrow is not None
    return symbolic.find(narrow, CONTEXT, lambda name: read(name, tables))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hst-acs-edit", ("acs", "", "edit")),
        ("hst-wfc3-darkfile-latest", ("wfc3", "darkfile", "latest")),
        ("hst-acs-pars-x-operational", ("acs", "pars-x", "operational")),
        ("hst-acs-2020-01-02", ("acs", "", "2020-01-02")),
        ("hst-acs-darkfile-2020-01-02T03:04:05.6", ("acs", "darkfile", "2020-01-02T03:04:05.6")),
        ("hst-all-darkfile-versions", ("all", "darkfile", "versions")),
    ],
)
def test_names_of_instruments_and_types_are_read(text: str, parts: tuple[str, str, str]) -> None:
    assert symbolic.parse(text, "hst") == Narrow(text, *parts)


@pytest.mark.parametrize(
    "text",
    [
        "hst-edit",
        "hst-2020-01-02",
        "jwst-acs-edit",
        "acs-darkfile-edit",
        "hst-acs",
        "hst-acs-darkfile",
        "hst-acs-darkfile-build",
        "hst-all-edit",
        "hst-ACS-edit",
        "hst--edit",
        "hst-acs--edit",
        "hst_acs-edit",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert symbolic.parse(text, "hst") is None


def test_rules_are_what_the_context_has_for_the_instrument_and_the_type() -> None:
    texts = ("hst-acs-edit", "hst-acs-darkfile-edit", "hst-acs-pars-x-edit", "hst-cos-edit")
    found = [find(text) for text in (*texts, "hst-wfc3-mlintab-edit", "hst-cos-darkfile-edit")]

    assert found == [
        ("hst_acs_1.imap",),
        ("hst_acs_darkfile_1.rmap",),
        ("hst_acs_pars-x_1.rmap",),
        (),
        (),
        (),
    ]


def test_all_instruments_are_those_that_have_the_type_without_system() -> None:
    darks, pars, mlintabs = (find(f"hst-all-{reftype}-edit") for reftype in ("darkfile", "pars-x", "mlintab"))

    assert darks == ("hst_acs_darkfile_1.rmap", "hst_wfc3_darkfile_1.rmap")
    assert (pars, mlintabs) == (("hst_acs_pars-x_1.rmap",), ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hst-stis-edit", "hst_0001.pmap has no 'stis', only acs, cos, system, wfc3"),
        ("hst-acs-biasfile-edit", "hst_acs_1.imap has no 'biasfile', only darkfile, pars-x"),
        ("hst-all-biasfile-edit", "no instrument of hst_0001.pmap has 'biasfile'"),
    ],
)
def test_what_the_context_does_not_have_is_refused_with_what_it_has(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(f'context {text!r}: {reason}')}$"):
        find(text)


def test_S07_unsafe_name_on_the_way_is_an_error_of_the_mapping_that_has_it() -> None:
    tables = TABLES | {"hst_acs_1.imap": {"darkfile": "../x.rmap", "biasfile": "hst_acs_biasfile_1.rmap"}}

    with pytest.raises(MappingError, match=r"^hst_acs_1\.imap: '\.\./x\.rmap' is refused as a file name: "):
        find("hst-acs-biasfile-edit", tables)


def test_mapping_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(MissingMappingError, match=r"hst_wfc3_1\.imap"):
        find("hst-wfc3-darkfile-edit", {CONTEXT: TABLES[CONTEXT]})
