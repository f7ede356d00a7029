"""A server like the real one, which tells of a data set only what the rules of one context ask for."""

from pathlib import Path

import pytest

from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from demo.methods import Methods


def be_frugal(demo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let demo servers of this process leave out of headers what the asked context does not look at."""
    load = rules.loader(demo_root / "mappings" / "hst")
    tell_all = Methods.get_dataset_headers_by_id

    def tell(
        methods: Methods, context: str, ids: list[str], since: str | None = None
    ) -> dict[str, dict[str, str] | str]:
        chooser = Chooser(context, load)
        return {
            name: header if isinstance(header, str) else _wanted(header, chooser)
            for name, header in tell_all(methods, context, ids, since).items()
        }

    monkeypatch.setattr(Methods, "get_dataset_headers_by_id", tell)


def _wanted(header: dict[str, str], chooser: Chooser) -> dict[str, str]:
    instrument = chooser.instrument(header[chooser.primary].lower())
    names = {chooser.primary, *(upper for _, upper, _ in instrument.wanted.names)}
    return {name: value for name, value in header.items() if name in names}
