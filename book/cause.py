"""Which of the ledger's causes the end of a connection is."""


def ended_for_disk(reason: str) -> bool:
    """Say whether a connection that ended for *reason* was closed because the disk had no room."""
    return reason.startswith("disk")


def cause_of(reason: str) -> str:
    """Return the cause of a hole after a connection that ended for *reason*."""
    if "rotat" in reason:
        return "rotation"
    return "disk" if ended_for_disk(reason) else "network"
