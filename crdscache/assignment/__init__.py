"""Best references for data sets as they are: what to write, what differs, what the cache lacks."""
