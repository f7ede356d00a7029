"""A demo observatory of our own and a CRDS server with faults on demand, for tests and benchmarks as well."""
