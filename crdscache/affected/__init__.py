"""Which data sets a change of context affects, and the mail that tells of them."""
