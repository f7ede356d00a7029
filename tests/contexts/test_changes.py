from crdscache.contexts import changes
from tests.bestrefs import rules


def pmap(selector: str) -> rules.Mapping:
    return rules.read(selector, ("INSTRUME",), name="hst_0001.pmap")


def test_an_instrument_counts_if_its_imap_is_another_or_on_one_side_only() -> None:
    old = pmap("{'ACS': 'a_1.imap', 'COS': 'c_1.imap', 'STIS': 'N/A', 'WFC3': 'w_1.imap', 'NICMOS': 'n_1'}")
    new = pmap(
        "{'ACS': 'a_2.imap', 'COS': 'c_1.imap', 'STIS': 's_1.imap', 'WFC3': 'N/A', 'WFPC2': 'p_1.imap'}"
    )

    assert changes.instruments(old, new) == ("acs", "nicmos", "stis", "wfc3", "wfpc2")


def test_instruments_without_data_sets_do_not_count() -> None:
    old = pmap("{'SYNPHOT': 'y_1.imap', 'SYSTEM': 'z_1.imap'}")
    new = pmap("{'SYNPHOT': 'y_2.imap', 'SYSTEM': 'z_2.imap'}")

    assert changes.instruments(old, new) == ()
