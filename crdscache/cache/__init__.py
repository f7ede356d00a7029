"""The disk: where files lie, how they are published, planned, locked and committed."""
