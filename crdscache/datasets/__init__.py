"""Where data sets come from, and the one place where they are written to: their primary headers."""
