"""The fixtures of the store's tests."""

from tests.embedded import mongo, mongo_server

__all__ = ["mongo", "mongo_server"]
