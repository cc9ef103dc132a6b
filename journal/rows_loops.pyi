from collections.abc import Callable

def layout(
    securities: list[str], payloads: list[bytes], bucket_of: Callable[[str], int]
) -> tuple[list[str], bytes, list[int], bytes, bytes, list[int] | None]: ...
