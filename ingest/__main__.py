"""``python -m ingest binance/a``."""

from ingest.process import main

main()
