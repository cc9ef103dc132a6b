"""Routes commands and aggregates health."""
