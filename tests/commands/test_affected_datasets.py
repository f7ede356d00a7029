import pytest

from crdscache.commands import affected_datasets


@pytest.mark.parametrize(
    "words",
    [
        ["--old-context", "hst_0001.pmap"],
        ["--new-context", "hst_0001.pmap"],
        ["--mail", "--no-mail"],
        ["--cores", "0"],
        ["--affected"],
    ],
)
def test_words_that_make_no_sense_are_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        affected_datasets.main(words)

    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: affected_datasets")


def test_long_options_take_one_dash_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        affected_datasets.main(["-help"])

    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert "--datasets-since DATE" in told
    assert "exit status: 0 done" in told
