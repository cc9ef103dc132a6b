"""``python -m book WORKER``."""

from book.process import main

main()
