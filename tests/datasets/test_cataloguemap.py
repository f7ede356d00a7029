import re
from pathlib import Path

import pytest
import yaml

from crdscache.datasets import cataloguemap
from crdscache.datasets.cataloguemap import CatalogueMap, Part, TableMap
from crdscache.errors import SettingsError


def test_a_map_names_tables_and_columns() -> None:
    data = {
        "instruments": {
            "ACS": {
                "table": "hst.acs_science",
                "product": "acs_asn_id",
                "exposure": "acs_data_set_name",
                "parameters": {"date-obs": "acs_start", "TIME-OBS": "acs_start", "XCORNER": None},
            },
            "cos": {"product": None},
        }
    }

    found = cataloguemap.parse(data, "hst.yaml")

    parameters = {"DATE-OBS": "acs_start", "TIME-OBS": "acs_start", "XCORNER": None}
    acs = TableMap("acs_science", "hst", "acs_asn_id", "acs_data_set_name", parameters)
    assert found == CatalogueMap("hst.yaml", {"acs": acs, "cos": TableMap("cos", None, None, "exposure", {})})
    assert acs.name == "hst.acs_science"
    assert [acs.column(name) for name in ("DATE-OBS", "XCORNER", "CCDAMP")] == ["acs_start", None, "CCDAMP"]
    assert acs.moments() == {"acs_start"}


def test_the_example_of_the_document_is_a_map() -> None:
    document = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text()
    [example] = re.findall(r"^```yaml\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)

    found = cataloguemap.parse(yaml.safe_load(example), "catalogue.md")

    tables = {name: (table.name, table.product, table.moments()) for name, table in found.tables.items()}
    assert tables == {
        "acs": ("archive.acs_science", "acs_asn_id", {"acs_start_time"}),
        "cos": ("archive.cos_science", "cos_asn_id", set()),
    }


def test_what_is_not_said_has_the_names_of_our_own_catalogue() -> None:
    assert TableMap("acs") == TableMap("acs", None, "product", "exposure", {})
    assert TableMap("acs").column("META.INSTRUMENT.NAME") == "META.INSTRUMENT.NAME"


def test_the_name_of_a_parameter_tells_whether_it_is_a_date_or_a_time() -> None:
    names = ("DATE-OBS", "META.OBSERVATION.DATE", "TIME-OBS", "META.OBSERVATION.TIME", "CCDAMP")

    assert [cataloguemap.part_of(name) for name in names] == [
        Part.DATE,
        Part.DATE,
        Part.TIME,
        Part.TIME,
        None,
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "m.yaml: names with values were expected, found None"),
        ({"tables": {}}, "m.yaml: instruments was expected, found tables"),
        ({}, "m.yaml: instruments: names with values were expected, found None"),
        (
            {"instruments": {False: {}}},
            "m.yaml: instruments: a name was expected as key, in quotes if need be, found False",
        ),
        ({"instruments": {"acs": {}, "ACS": {}}}, "m.yaml: instruments.ACS: it comes twice"),
        (
            {"instruments": {"acs": {"tabel": "x"}}},
            "m.yaml: instruments.acs: table or product or exposure or parameters was expected, found tabel",
        ),
        (
            {"instruments": {"acs": {"table": ["x"]}}},
            "m.yaml: instruments.acs.table: a name was expected, found <list>",
        ),
        (
            {"instruments": {"acs": {"table": "hst."}}},
            "m.yaml: instruments.acs.table: a name was expected, found ''",
        ),
        (
            {"instruments": {"acs": {"exposure": None}}},
            "m.yaml: instruments.acs.exposure: a name was expected, found None",
        ),
        (
            {"instruments": {"acs": {"product": 5}}},
            "m.yaml: instruments.acs.product: the name of a column, or null, was expected, found 5",
        ),
        (
            {"instruments": {"acs": {"parameters": {"A": "x", "a": "y"}}}},
            "m.yaml: instruments.acs.parameters.a: it comes twice",
        ),
        (
            {"instruments": {"acs": {"parameters": {"A": ""}}}},
            "m.yaml: instruments.acs.parameters.A: the name of a column, or null, was expected, found ''",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(data: object, told: str) -> None:
    with pytest.raises(SettingsError) as error:
        cataloguemap.parse(data, "m.yaml")

    assert str(error.value) == told
