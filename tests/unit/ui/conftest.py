"""The fixtures of the tests that read an archive."""

from tests.embedded import mongo, mongo_server

__all__ = ["mongo", "mongo_server"]
