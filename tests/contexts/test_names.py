import pytest

from crdscache.contexts import names
from crdscache.errors import UnsafeNameError

UNSAFE = {
    "empty": "",
    "blank": " ",
    "blank inside": "a b.fits",
    "slash": "data/hst_acs.imap",
    "absolute": "/etc/passwd",
    "parent": "..",
    "climbing": "../../x.fits",
    "backslash": "..\\x.fits",
    "NUL": "x.fits\0",
    "newline": "x.fits\n",
    "escape": "x\x1b[31m.fits",
    "delete": "x\x7f.fits",
    "percent": "%2e%2e%2fx.fits",
    "leading dot": ".x.fits",
    "leading minus": "-x.fits",
    "too long": "x" * 129,
    "look-alike letter": "hst_\u0430cs.imap",
    "kelvin sign": "x.\u212a",
    "fullwidth dot": "x\uff0efits",
    "other digits": "x\u0663.fits",
    "lone surrogate": "x\udc80.fits",
    "colon": "c:x.fits",
    "our download": "x.fits.part",
    "our temporary": "x.fits.01234567.crdstmp",
    "lock": "x.fits.lock",
    "lock elsewhere": "X.FITS.LOCK",
    "number": 7,
    "nothing": None,
    "bytes": b"x.fits",
    "number that Python cannot print": 10**5000,
}


@pytest.mark.parametrize("name", UNSAFE.values(), ids=UNSAFE)
def test_S07_unsafe_name_is_refused_and_shown_harmlessly(name: object) -> None:
    with pytest.raises(UnsafeNameError) as caught:
        names.require_safe(name)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "name",
    ["hst.pmap", "x", "_x", "9", "x" * 128, "weekdark_15551_0H_wk02_drk.fits", "x..fits", "a-b_c.D", "lock"],
)
def test_safe_name_is_returned_as_it_is(name: str) -> None:
    assert names.require_safe(name) == name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x.fits", "x.fits"),
        ("1e9", "1e9"),
        ("a/b", "'a/b'"),
        ("\x1b[31m\n\udc80", "'\\x1b[31m\\n\\udc80'"),
        ("/" * 10**6, "'" + "/" * 139),
        (None, "None"),
        (True, "True"),
        (-1, "-1"),
        (1.5, "1.5"),
        (10**5000, "<int>"),
        ([1], "<list>"),
        (b"x", "<bytes>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_S05_what_came_from_outside_is_shown_in_a_short_line(value: object, shown: str) -> None:
    assert names.printable(value) == shown


def test_S17_special_values_are_known_in_every_letter_case() -> None:
    special = ["N/A", "n/a", "OMIT", "omit", "Temp_n/a", "TEMP_OMIT", "UNDEFINED", "undefined", " N/A "]

    assert [value for value in special if not names.is_special(value)] == []
    assert [value for value in ["", "N/AX", "omit.fits", "NONE"] if names.is_special(value)] == []


def test_only_names_that_references_have_are_taken_for_one() -> None:
    known = ["x.fits", "X.FITS", "e1b1000du.r3h", "e1b1000du.R3D", "x.asdf", "x.json", "x.yaml", "x.text"]
    other = [
        "x.pmap",
        "README",
        "x.txt",
        "x.fits.gz",
        "x.fits.lock",
        "x.fits~",
        ".x.fits",
        ".fits",
        "a b.fits",
    ]

    assert [name for name in known + other if names.is_reference(name)] == known


def test_depth_counts_from_the_root() -> None:
    assert [names.depth(name) for name in ("x.pmap", "x.imap", "x.rmap", "x.fits")] == [0, 1, 2, 3]


def test_mappings_are_known_by_their_endings() -> None:
    known = ["hst.pmap", "hst_acs_0001.imap", "hst_acs_darkfile_0001.rmap"]
    other = ["x.fits", "pmap", "x.rmap.fits", "x_rmap", "x.PMAP"]

    assert [name for name in known + other if names.is_mapping(name)] == known


@pytest.mark.parametrize(
    ("name", "observatory"),
    [
        ("hst.pmap", "hst"),
        ("jwst_miri_0001.imap", "jwst"),
        ("roman_wfi_dark_0001.rmap", "roman"),
        ("foo_0001.pmap", None),
        ("jwst_miri_dark_0001.fits", "jwst"),
        ("dark_tobs.fits", "tobs"),
        ("x1234567j_drk.fits", "hst"),
        ("pars_miri_x.asdf", "jwst"),
        ("weekdark_15551_0H_wk02_drk.fits", None),
    ],
)
def test_observatory_is_told_from_a_name(name: str, observatory: str | None) -> None:
    assert names.observatory_of(name) == observatory


@pytest.mark.parametrize(
    ("name", "observatory", "instrument"),
    [
        ("hst_acs_darkfile_x.fits", "hst", "acs"),
        ("hst_wfc3_x.fits", "hst", "wfc3"),
        ("hst_foo_darkfile.fits", "hst", None),
        ("acs_f606w_005_syn.fits", "hst", "synphot"),
        ("nic1_th.fits", "hst", "synphot"),
        ("x1234567j_drk.fits", "hst", "acs"),
        ("X1234567O_BIA.FITS", "hst", "stis"),
        ("x1234567n_drk.fits", "hst", "nicmos"),
        ("x1234567u.r3h", "hst", "wfpc2"),
        ("x1234567i_drk.fits", "hst", "wfc3"),
        ("x1234567l_drk.fits", "hst", "cos"),
        ("x1234567m_tmg.fits", "hst", "synphot"),
        ("2018_super_bia.fits", "hst", None),
        (".fits", "hst", None),
        ("jwst_nirspec_dark_0001.fits", "jwst", "nirspec"),
        ("miri_dark.fits", "jwst", "miri"),
        ("jwst_dark_0001.fits", "jwst", None),
        ("roman_wfi_f158_dark_0001.asdf", "roman", "wfi"),
        ("x1234567j_drk.fits", "foo", None),
    ],
)
def test_instrument_is_told_from_a_name(name: str, observatory: str, instrument: str | None) -> None:
    assert names.instrument_of(name, observatory) == instrument


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.r3h", "x.r3d"),
        ("X.R0H", "X.R0D"),
        ("x.R7h", "x.R7d"),
        ("x.r3d", None),
        ("x.fits", None),
        ("x.r3h.fits", None),
        ("xr3h", None),
        ("x.rah", None),
    ],
)
def test_data_half_of_a_geis_header_keeps_its_letter_case(name: str, data: str | None) -> None:
    assert names.geis_data(name) == data
