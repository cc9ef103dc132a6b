"""One process per venue and line: receives, journals, publishes; keeps no book."""
