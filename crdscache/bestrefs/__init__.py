"""The engine: which reference of each type a context assigns to a data set. Pure: no file, no network."""
