"""The page for people: what is known of a cache, as tables and plots. Nothing is asked of a server."""
