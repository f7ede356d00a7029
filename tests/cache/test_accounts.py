from crdscache.cache import accounts

NOBODY_HAS_IT = 0x7FFF_FFFE


def test_accounts_are_told_by_name_and_number_and_by_number_alone_where_they_have_no_name() -> None:
    assert (accounts.user(0), accounts.group(0)) == ("root (0)", "root (0)")
    assert (accounts.user(NOBODY_HAS_IT), accounts.group(NOBODY_HAS_IT)) == (str(NOBODY_HAS_IT),) * 2
