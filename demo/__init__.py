"""A demo observatory written by us, and a CRDS server with faults on demand; tests and benchmarks use both."""
