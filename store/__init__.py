"""Writes documents to MongoDB and reads the archive back: nothing else touches the database."""
