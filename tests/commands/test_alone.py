import pytest

from crdscache.commands import alone, cron_sync
from crdscache.errors import SettingsError


def require(line: str) -> None:
    alone.require(vars(cron_sync.make_parser().parse_args(line.split())))


@pytest.mark.parametrize(
    "line",
    [
        "--pin hst_0001.pmap --dry-run --json --verbose",
        "--unpin --quiet",
        "--rollback --config holdings=none",
        "--restore X",
        "--empty-trash",
        "--all --fetch-references --check-files --last 3",
    ],
)
def test_what_is_not_at_odds_is_accepted(line: str) -> None:
    require(line)


@pytest.mark.parametrize("first", ["--pin C", "--unpin", "--rollback", "--restore X", "--empty-trash"])
@pytest.mark.parametrize(
    "other",
    [
        "--all",
        "--contexts hst-operational",
        "--last 1",
        "--fetch-references",
        "--adopt /data/cdbs",
        "--adopt-mode copy",
        "--check-files",
        "--check-sha1sum",
        "--repair-files",
        "--purge-mappings",
        "--purge-references",
        "--purge-rejected",
        "--max-purge 0",
        "--no-leases",
        "--dataset-files F",
        "--dataset-ids I",
        "--context-list FILE",
    ],
)
def test_an_option_in_place_of_a_sync_stands_alone(first: str, other: str) -> None:
    one, another = (words.split(maxsplit=1)[0] for words in (first, other))
    expected = f"{one} does just this, and no sync: not with {another}"

    with pytest.raises(SettingsError, match=f"^{expected}$"):
        require(f"{other} {first}")


def test_two_options_in_place_of_a_sync_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="--pin does just this, and no sync: not with --rollback"):
        require("--rollback --pin C")
