"""A small observatory written by us: rules, references, data sets, a history; the same bytes in every run.

It poses as hst, because the missions' client knows only its own observatories. `build` writes it as a cache.
"""

import json
import sys
from dataclasses import dataclass, field
from hashlib import sha1
from io import BytesIO
from itertools import groupby
from pathlib import Path
from pprint import pformat

from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.contexts import names
from crdscache.contexts.serverinfo import wrap
from demo.content import Content, record_of
from demo.deliveries import DATASETS, DELIVERIES, LARGE_BYTES, ORPHANS, REJECTED, RMAPS, Delivery, Row

OBSERVATORY = "hst"
CONTEXTS = tuple(f"hst_{number:04}.pmap" for number in range(1, len(DELIVERIES)))  # oldest first
EDIT_CONTEXT = f"hst_{len(DELIVERIES):04}.pmap"


def build(root: Path, *, contexts: int | None = None) -> Path:
    """Write the observatory, as it was after its first `contexts` contexts, into a tree like a cache.

    The edit context is one beyond. Beside the cache lie `datasets/`, small FITS files, and `datasets.json`.
    """
    n_contexts = len(CONTEXTS) if contexts is None else contexts
    rules = _Rules()
    for delivery in DELIVERIES[: n_contexts + 1]:
        rules.deliver(delivery)
    contents = [
        *(Content(name, len(text), text) for name, text in rules.written.items()),
        *_references(rules),
    ]
    for content in contents:
        folder = "mappings" if names.is_mapping(content.name) else "references"
        _write(root / folder / OBSERVATORY / content.name, content.read())
    config = root / "config" / OBSERVATORY
    _write(config / "server_config", pformat(_server_config(n_contexts, contents)).encode())
    _write(config / "bad_files.txt", "\n".join(REJECTED).encode())
    _write(config / "ref_cache_subdir_mode", b"flat")
    _write_datasets(root)
    return root


@dataclass(slots=True)
class _Rules:
    """The rules as they grow by deliveries; a changed mapping gets a new serial, like all that names it."""

    written: dict[str, bytes] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    newest: dict[str, str] = field(
        default_factory=dict
    )  # "hst_acs" or "hst_acs_biasfile" to the last file's name
    entries: dict[str, dict[str, str]] = field(default_factory=dict)  # "hst" or "hst_acs" to selector

    def deliver(self, delivery: Delivery) -> None:
        """Write the mappings of one context that no former one has."""
        changed: set[str] = set()
        for place, new_rows in delivery.rows.items():
            instrument, reftype = place
            replaced = {(row.key, row.start) for row in new_rows}
            kept = [row for row in self.rows.get(place, []) if (row.key, row.start) not in replaced]
            self.rows[place] = sorted(
                [*kept, *new_rows], key=lambda row: (tuple(map(str, row.key)), row.start)
            )
            header = RMAPS[place].header | {"instrument": instrument.upper(), "filekind": reftype.upper()}
            name = self._write(
                f"{OBSERVATORY}_{instrument}_{reftype}", "rmap", header, _tree(self.rows[place])
            )
            self.entries.setdefault(f"{OBSERVATORY}_{instrument}", {})[reftype] = name
            changed.add(instrument)
        for instrument, reftype in delivery.without_file:
            self.entries.setdefault(f"{OBSERVATORY}_{instrument}", {})[reftype] = "N/A"
            changed.add(instrument)
        top = self.entries.setdefault(OBSERVATORY, {"COS": "N/A"})
        for instrument in sorted(changed):
            stem = f"{OBSERVATORY}_{instrument}"
            header = {"instrument": instrument.upper(), "parkey": ("REFTYPE",)}
            top[instrument.upper()] = self._write(stem, "imap", header, _table(self.entries[stem]))
        self._write(OBSERVATORY, "pmap", {"parkey": ("INSTRUME",)}, _table(top))

    def _write(self, stem: str, level: str, header: dict[str, object], selector: str) -> str:
        former = self.newest.get(stem)
        serial = 1 if former is None else int(former[-9:-5]) + 1
        name = f"{stem}_{serial:04}.{level}"
        general = {
            "derived_from": former or "written by hand",
            "mapping": {"pmap": "PIPELINE", "imap": "INSTRUMENT", "rmap": "REFERENCE"}[level],
            "name": name,
            "observatory": OBSERVATORY.upper(),
        }
        self.written[name] = render(header | general, selector)
        self.newest[stem] = name
        return name


def render(header: dict[str, object], selector: str) -> bytes:
    """Write a mapping's text, with the sum of all its other lines in the header."""
    unsummed = f"header = {_table(header)}\n\nselector = {selector}\n"
    header_sha1 = sha1(unsummed.encode(), usedforsecurity=False).hexdigest()
    return f"header = {_table(header | {'sha1sum': header_sha1})}\n\nselector = {selector}\n".encode()


def _table(values: dict[str, object] | dict[str, str]) -> str:
    lines = "".join(f"    {key!r} : {value!r},\n" for key, value in sorted(values.items()))
    return f"{{\n{lines}}}"


def _tree(rows: list[Row]) -> str:
    lines = []
    for key, group in groupby(rows, key=lambda row: row.key):
        starts = [(row.start, row.reference) for row in group]
        if starts[0][0]:
            dated = "".join(f"        {start!r} : {reference!r},\n" for start, reference in starts)
            lines.append(f"    {key!r} : UseAfter({{\n{dated}    }}),\n")
        else:
            lines.append(f"    {key!r} : {starts[0][1]!r},\n")
    return f"Match({{\n{''.join(lines)}}})"


def _references(rules: _Rules) -> list[Content]:
    """Make all references that any context names, and those that none does."""
    # A row's former reference is still named by older contexts.
    assigned = {row.reference for text in DELIVERIES for rows in text.rows.values() for row in rows}
    delivered = {name for name in assigned if not names.is_special(name)}
    named = {name for name in delivered if any(name.encode() in text for text in rules.written.values())}
    geis = {data for name in named if (data := names.geis_data(name)) is not None}
    return [Content(name, _size_bytes(name)) for name in sorted(named | geis | set(ORPHANS))]


def _size_bytes(name: str) -> int:
    # Whole blocks of 2,880 bytes, as FITS has them; not all alike, so that a mixed-up file shows.
    return LARGE_BYTES.get(name, 2880 * (2 + sha1(name.encode(), usedforsecurity=False).digest()[0] % 8))


def _server_config(n_contexts: int, contents: list[Content]) -> dict[str, object]:
    records = [record_of(content) for content in contents]
    where = {
        folder: f"http://localhost/unchecked_get/{folder}/{OBSERVATORY}/"
        for folder in ("mappings", "references")
    }
    present = {record.name for record in records}
    eras = [[each.start, context, each.reason] for each, context in zip(DELIVERIES, CONTEXTS, strict=False)]
    return {
        "bad_files_list": sorted(present.intersection(REJECTED)),
        "connected": True,
        "context_history": eras[:n_contexts][::-1],
        "crds_version": {"rev": "demo", "str": "14.0.3", "svnurl": "/"},
        "download_metadata": wrap(
            {record.name: {"sha1sum": record.file_sha1, "size": str(record.size_bytes)} for record in records}
        ),
        "edit_context": f"hst_{n_contexts + 1:04}.pmap",
        "force_remote_mode": 0,
        "last_refreshed": "2025-01-01 00:00:00.000000",
        "last_synced": "2025-01-01 00:00:00.000000",
        "latest_context": CONTEXTS[n_contexts - 1],
        "mapping_url": {OBSERVATORY: where["mappings"]},
        "mappings": sorted(name for name in present if names.is_mapping(name)),
        "max_bestrefs_per_rpc": 1000,
        "max_headers_per_rpc": 1000,
        "observatory": OBSERVATORY,
        "operational_context": CONTEXTS[n_contexts - 1],
        "reference_url": {OBSERVATORY: where["references"]},
        "server": "http://localhost",
        "status": "server",
        "versions_context": "",
    }


def _write_datasets(root: Path) -> None:
    told = {name: {key: str(value) for key, value in header.items()} for name, header in DATASETS.items()}
    _write(root / "datasets.json", json.dumps(told, indent=1).encode())
    for name, header in DATASETS.items():
        product, _, exposure = name.partition(":")
        hdu = fits.PrimaryHDU(header=fits.Header({"ROOTNAME": exposure.lower(), "ASN_ID": product, **header}))
        file = BytesIO()
        hdu.writeto(file)
        _write(root / "datasets" / f"{exposure.lower()}_raw.fits", file.getvalue())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
