"""Which keyword names the reference of a type, and how."""

import pytest

from crdscache.assignment import keywords


@pytest.mark.parametrize(
    ("observatory", "reftype", "keyword"),
    [
        ("hst", "darkfile", "DARKFILE"),
        ("hst", "dark", "DARK"),
        ("jwst", "dark", "R_DARK"),
        ("jwst", "wavelengthrange", "R_WAVRAN"),
        ("jwst", "straymask", "STRAYMASK"),
        ("roman", "dark", "DARK"),
    ],
)
def test_the_keyword_is_the_name_of_the_type_but_where_the_schema_of_jwst_has_another(
    observatory: str, reftype: str, keyword: str
) -> None:
    assert keywords.keyword(observatory, reftype) == keyword


@pytest.mark.parametrize(
    ("observatory", "instrument", "reference", "value"),
    [
        ("hst", "acs", "x_drk.fits", "jref$x_drk.fits"),
        ("hst", "acs", "25B17314J_drk.fits", "jref$25b17314j_drk.fits"),
        ("hst", "cos", "x.fits", "lref$x.fits"),
        ("hst", "nicmos", "x.fits", "nref$x.fits"),
        ("hst", "stis", "x.fits", "oref$x.fits"),
        ("hst", "synphot", "x.fits", "ttab$x.fits"),
        ("hst", "wfc3", "x.fits", "iref$x.fits"),
        ("hst", "wfpc2", "x.r0h", "uref$x.r0h"),
        ("hst", "foc", "x.fits", "x.fits"),
        ("jwst", "miri", "jwst_miri_dark_0001.fits", "crds://jwst_miri_dark_0001.fits"),
        ("hst", "acs", "N/A", "N/A"),
        ("jwst", "miri", "N/A", "N/A"),
    ],
)
def test_a_header_names_a_reference_as_calibration_programs_know_it(
    observatory: str, instrument: str, reference: str, value: str
) -> None:
    assert keywords.value(observatory, instrument, reference) == value


@pytest.mark.parametrize(
    ("observatory", "header", "name"),
    [
        ("hst", {"DARK": "jref$X_drk.fits"}, "x_drk.fits"),
        ("hst", {"DARK": "/here/jref$x_drk.fits "}, "x_drk.fits"),
        ("hst", {"DARK": "x_drk.fits"}, "x_drk.fits"),
        ("hst", {"DARK": "N/A"}, "n/a"),
        ("hst", {"DARK": "  "}, "n/a"),
        ("hst", {"DARK": "UNDEFINED"}, "n/a"),
        ("hst", {"DARK": "None"}, "n/a"),
        ("hst", {"DARK": "*"}, "n/a"),
        ("hst", {"DARK": None}, "n/a"),
        ("hst", {"DARK": 5}, "5"),
        ("hst", {}, "n/a"),
        ("jwst", {"R_DARK": "crds://jwst_x.fits"}, "jwst_x.fits"),
        ("jwst", {"DARK": "crds://jwst_x.fits"}, "jwst_x.fits"),
        ("jwst", {"R_DARK": "N/A", "DARK": "crds://jwst_x.fits"}, "n/a"),
    ],
)
def test_what_a_header_names_is_read_whatever_stands_before_it(
    observatory: str, header: dict[str, object], name: str
) -> None:
    assert keywords.recorded(observatory, "dark", header) == name
