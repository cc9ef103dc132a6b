"""The desired state: which securities are recorded, how, and since when.

event              security unknown                     security known
add                appended, version + 1                nothing (the same recording goes on)
remove             ``UnknownSecurity``                  dropped, version + 1
policy             ``UnknownSecurity``                  policy from a window on, version + 1

A transition takes the old state and returns the new one; the old one where nothing changed.
"""

from typing import NamedTuple

import msgspec

from wire.messages import BadMessage, Desired, Policy, Wanted, pack, unpack

MAX_SECURITIES = 2000
"""Four times what both venues list against one quote currency: the state goes out each second."""

MAX_POLICIES = 16
"""A security's newest policies; older ones rule windows that are stored long since."""

_WINDOWS_AHEAD = 2
"""No window that has begun anywhere changes its policy: the newest is open, the next may just open."""


class UnknownSecurity(LookupError):
    """The security is not in the desired state."""


class Unfitting(ValueError):
    """An interval does not divide the window."""


class TooMany(ValueError):
    """The desired state would hold more than MAX_SECURITIES."""


class Corrupt(ValueError):
    """The file of the desired state cannot be read."""


EMPTY = Desired(0, ())


def names(desired: Desired) -> list[str]:
    """Return the securities, in the order they were added."""
    return [wanted.security for wanted in desired.securities]


def find(desired: Desired, security: str) -> Wanted:
    """Return the entry of *security*.

    Raises:
        UnknownSecurity: it is not recorded.
    """
    for wanted in desired.securities:
        if wanted.security == security:
            return wanted
    raise UnknownSecurity(f"{security} is not recorded: obl add {security} starts it, obl list shows all")


def add(desired: Desired, securities: list[str], policy: Policy, now_ns: int) -> Desired:
    """Return *desired* with *securities* too, recorded by *policy* from the first window on.

    Raises:
        TooMany: nothing is added.
    """
    known = set(names(desired))
    new = [security for security in dict.fromkeys(securities) if security not in known]
    if len(known) + len(new) > MAX_SECURITIES:
        raise TooMany(f"{len(known) + len(new)} securities: at most {MAX_SECURITIES} can be recorded")
    if not new:
        return desired
    entries = tuple(Wanted(security, (policy,), now_ns) for security in new)
    return Desired(desired.version + 1, desired.securities + entries)


def check_every(every_ms: int | None, window_ns: int) -> None:
    """Return if net changes per *every_ms* can be recorded.

    Raises:
        Unfitting: they cannot.
    """
    if every_ms and window_ns // 1_000_000 % every_ms:
        window_s = window_ns // 1_000_000_000
        raise Unfitting(f"every {every_ms}ms does not divide the window of {window_s} s")


def remove(desired: Desired, security: str) -> Desired:
    """Return *desired* without *security*.

    Raises:
        UnknownSecurity: it is not recorded.
    """
    gone = find(desired, security)
    return Desired(desired.version + 1, tuple(w for w in desired.securities if w != gone))


class Change(NamedTuple):
    """What of a policy is to be another; None: as before."""

    every_ms: int | None = None
    images_s: int | None = None
    order_ids: bool | None = None

    def of(self, policy: Policy) -> Policy:
        """Return *policy* so changed."""
        wanted = {name: value for name, value in self._asdict().items() if value is not None}
        return msgspec.structs.replace(policy, **wanted)


def with_policy(desired: Desired, security: str, change: Change, from_ns: int) -> Desired:
    """Return *desired* with another policy of *security* from the window at *from_ns* on.

    Raises:
        UnknownSecurity: it is not recorded.
    """
    old = find(desired, security)
    last = old.policies[-1]
    if change.of(last) == last:
        return desired
    new = msgspec.structs.replace(change.of(last), from_ns=max(from_ns, last.from_ns))
    earlier = tuple(policy for policy in old.policies if policy.from_ns < new.from_ns)
    changed = msgspec.structs.replace(old, policies=(*earlier, new)[-MAX_POLICIES:])
    entries = tuple(changed if w == old else w for w in desired.securities)
    return Desired(desired.version + 1, entries)


def first_window_ns(newest_ns: int, window_ns: int) -> int:
    """Return where a policy may begin when the newest exchange time heard of is *newest_ns*."""
    return (newest_ns // window_ns + _WINDOWS_AHEAD) * window_ns


def policy_text(policy: Policy) -> str:
    """Return *policy* as ``obl policy --every`` takes it.

    >>> policy_text(Policy()), policy_text(Policy(1000))
    ('update', '1000ms')
    """
    return f"{policy.every_ms}ms" if policy.every_ms else "update"


def orders_text(policy: Policy) -> str:
    """Return *policy* as ``obl policy --orders`` takes it."""
    return "full" if policy.order_ids else "noids"


def difference(desired: Desired, seed: tuple[str, ...]) -> str:
    """Return in one line how the persisted set differs from SECURITIES; "" where it does not."""
    recorded, wished = set(names(desired)), set(seed)
    parts = []
    if wished - recorded:
        parts.append("not recorded: " + " ".join(sorted(wished - recorded)))
    if recorded - wished:
        parts.append("recorded besides: " + " ".join(sorted(recorded - wished)))
    return "; ".join(parts)


def to_bytes(desired: Desired) -> bytes:
    """Return what is kept on disk; the inverse of ``from_bytes``."""
    return pack(desired)


def from_bytes(data: bytes) -> Desired:
    """Return the state that *data* holds.

    Raises:
        Corrupt: it holds none.
    """
    try:
        desired = unpack(data)
    except BadMessage as error:
        raise Corrupt(str(error)) from error
    if not isinstance(desired, Desired) or not all(wanted.policies for wanted in desired.securities):
        raise Corrupt("no desired state")
    return desired
