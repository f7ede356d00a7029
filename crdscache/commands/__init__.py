"""One module per command in bin/: arguments, lock, call, summary, exit status."""
