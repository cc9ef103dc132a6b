"""``python -m condition WORKER``."""

from condition.process import main

main()
