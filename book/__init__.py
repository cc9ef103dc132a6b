"""Orders, checks and applies updates: the book of every security, its images, hashes and holes."""
