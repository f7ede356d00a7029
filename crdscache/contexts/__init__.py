"""The language of CRDS: names, rules, closures, the catalogue. Pure: no file, no network."""
