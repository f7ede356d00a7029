"""The other end: remote procedure calls and transfers."""
