"""Cuts what the maintainers send into windows and makes blocks of them."""
