"""The append-only record of everything an ingester received."""
