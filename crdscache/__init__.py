"""A site's cache of CRDS calibration rules and references, far from the server."""

__version__ = "0.1.0"
