"""How securities are recorded in each window: what the settings say, and the policies on top of that."""

from typing import NamedTuple

from wire.messages import Policy
from wire.settings import Settings

NS_PER_SECOND = 1_000_000_000


class Recipe(NamedTuple):
    """What of the settings shapes a security's output."""

    window_ns: int
    images_s: int
    order_images_s: int

    @classmethod
    def of(cls, settings: Settings) -> "Recipe":
        """Return what *settings* say."""
        images_s = settings.image_seconds("l2"), settings.image_seconds("l3")
        return cls(settings.window_seconds * NS_PER_SECOND, *images_s)

    def windows(self, book: str, policies: tuple[Policy, ...]) -> "Windows":
        """Return how a security with that kind of *book* is recorded by *policies*."""
        return Windows(self.window_ns, self.order_images_s if book == "l3" else self.images_s, policies)


class Windows(NamedTuple):
    """How a security is recorded in each window."""

    window_ns: int
    images_s: int
    """Where the policy does not say."""
    policies: tuple[Policy, ...]

    def policy(self, start_ns: int) -> Policy:
        """Return the policy of the window that starts at *start_ns*."""
        ruling = [policy for policy in self.policies if policy.from_ns <= start_ns]
        return ruling[-1] if ruling else self.policies[0]

    def image_due(self, start_ns: int, next_ns: int) -> bool:
        """Say whether a boundary of base images lies after *start_ns*, up to *next_ns*."""
        every_ns = self._images_ns(start_ns)
        return start_ns // every_ns < next_ns // every_ns

    def alike_until(self, start_ns: int) -> int:
        """Return when the first window begins at which more than a cut is due, after that at *start_ns*.

        Before it lies no boundary of base images, and the policy is the same.
        """
        every_ns = self._images_ns(start_ns)
        image_ns = start_ns - start_ns % every_ns + every_ns
        return min([image_ns, *(policy.from_ns for policy in self.policies if policy.from_ns > start_ns)])

    def _images_ns(self, start_ns: int) -> int:
        """Return how far apart the boundaries of base images are in the window that starts at *start_ns*."""
        return (self.policy(start_ns).images_s or self.images_s) * NS_PER_SECOND
