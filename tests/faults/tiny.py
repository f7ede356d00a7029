"""An observatory of two contexts, as small as can be: each file of a run is swept several times over."""

from demo.server import Server
from tests.written import mapping

OLD, NEW = "hst_0001.pmap", "hst_0002.pmap"
PAST = "hst_0000.pmap"  # was never a default
_MAPPINGS = {
    PAST: ("hst_acs_0000.imap", "hst_wfpc2_0001.imap"),
    "hst_acs_0000.imap": ("hst_acs_darkfile_0000.rmap",),
    "hst_acs_darkfile_0000.rmap": ("a1b1000aj_drk.fits", "z1b1000aj_drk.fits"),
    OLD: ("hst_acs_0001.imap", "hst_wfpc2_0001.imap"),
    "hst_acs_0001.imap": ("hst_acs_darkfile_0001.rmap",),
    "hst_acs_darkfile_0001.rmap": ("a1b1000aj_drk.fits", "a1b1000bj_drk.fits"),
    "hst_wfpc2_0001.imap": ("hst_wfpc2_darkfile_0001.rmap",),
    "hst_wfpc2_darkfile_0001.rmap": ("e1b1000du.r3h",),
    NEW: ("hst_acs_0002.imap", "hst_wfpc2_0001.imap"),
    "hst_acs_0002.imap": ("hst_acs_darkfile_0002.rmap",),
    "hst_acs_darkfile_0002.rmap": ("a1b1000aj_drk.fits", "c1b1000aj_drk.fits"),
}
# One is of more than a chunk: it can be cut.
_REFERENCES = {
    "a1b1000aj_drk.fits": 700,
    "a1b1000bj_drk.fits": 300_000,
    "c1b1000aj_drk.fits": 900,
    "e1b1000du.r3d": 500,
    "e1b1000du.r3h": 400,
    "z1b1000aj_drk.fits": 600,
}
# What a site has already; one more, which is cut.
IN_THE_TREE = ("a1b1000aj_drk.fits", "e1b1000du.r3d", "e1b1000du.r3h")
CUT = "a1b1000bj_drk.fits"
# What a test spoils in a cache.
HEADER, RMAP = "e1b1000du.r3h", "hst_acs_darkfile_0001.rmap"
SPOILT = (CUT, HEADER, RMAP)


def serve() -> Server:
    """Serve the observatory, with the older context as its default."""
    server = Server.empty()
    for name, named in _MAPPINGS.items():
        instrument = "wfpc2" if "wfpc2" in name else "acs"
        server.add_file(name, mapping(name, *named, instrument=instrument))
    for name, size_bytes in _REFERENCES.items():
        server.add_file(name, size_bytes)
    server.archive.eras = [["2024-01-01 00:00:00", NEW, "one"], ["2023-01-01 00:00:00", OLD, "first"]]
    server.set_edit(NEW)
    server.set_default(OLD)
    return server
