"""What the CRDS_* variables say; what they give, test_settings has."""

import pytest

from crdscache.errors import SettingsError
from crdscache.workflow import settings, variables
from crdscache.workflow.variables import Setting


def test_each_value_comes_with_the_variable_that_it_is_from() -> None:
    found = variables.read({"CRDS_PATH": "/a", "CRDS_READONLY_CACHE": "T", "CRDS_CLIENT_RETRY_COUNT": "3"})

    assert found == {
        "cache_root": Setting("/a", "CRDS_PATH"),
        "readonly_cache": Setting(value=True, origin="CRDS_READONLY_CACHE"),
        "tries": Setting(3, "CRDS_CLIENT_RETRY_COUNT"),
    }
    assert variables.branches({"CRDS_REFPATH": "/r"}, "hst") == {
        "references_dir": Setting("/r/hst", "CRDS_REFPATH")
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRDS_PATH", ""),
        ("CRDS_PATH", "/"),
        ("CRDS_PATH", "cache"),
        ("CRDS_PATH", "/a b"),
        ("CRDS_PATH", "/a\nb"),
        ("CRDS_PATH", "/caché"),
        ("CRDS_REFPATH", "refs"),
        ("CRDS_LOCKS", ""),
        ("CRDS_READONLY_CACHE", "yes"),
        ("CRDS_CLIENT_RETRY_DELAY_SECONDS", "soon"),
    ],
)
def test_P19_a_bad_variable_is_refused_with_its_name_and_value(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings.resolve({}, {"CRDS_PATH": "/cache", "CRDS_OBSERVATORY": "hst", variable: value})

    assert str(refused.value).startswith(f"{variable}: expected ")
    assert repr(value) in str(refused.value)
