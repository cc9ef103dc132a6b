"""What ends in the database is a function of the records: not of restarts, batches, answers or their order.

A conditioner is stopped and started again with a new token at every position, documents and answers are lost
or come late, and the store keeps of each document the version that covers most.  And *done* never passes a
record that is not in a stored document of a final window.
"""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from condition.conditioner import Conditioner
from tests.unit.condition.maintainer import LINE, SECURITY, WINDOW_NS, Maintainer, Record
from wire.messages import Answer, Document, Synced
from wire.names import bucket_of

BUCKET = bucket_of(SECURITY)
END = [Record("tick")] * 8


class Store:
    """Keeps what covers more; answers when told to."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}

    def put(self, document: Document) -> Answer:
        kept = self.documents.get(document.name)
        pair = (document.key,)
        if kept is not None and kept.covered >= document.covered:
            return Answer(had=pair)
        self.documents[document.name] = document
        return Answer(stored=pair)

    def content(self) -> dict[str, Any]:
        return {name: (d.covered, d.start_ns, d.fields) for name, d in self.documents.items()}


class Pipeline:
    """Maintainer, conditioner and store in one thread; *chance* decides about delivery and batches."""

    def __init__(self, every_ms: int, chance: random.Random | None) -> None:
        self.chance = chance
        self.store = Store()
        self.maintainer = Maintainer(every_ms)
        self.checkpoints = [self.maintainer.checkpoint()]
        self.runs = 0
        self.now = 0
        self.late: list[Document] = []
        self.answers: list[Answer] = []
        self.start()

    def start(self) -> None:
        """Start a conditioner; the maintainer begins at the newest checkpoint not past done."""
        done = self.done() if self.runs else 1
        self.runs += 1
        self.conditioner = Conditioner(
            window_ns=WINDOW_NS, reply_to="here", token=self.runs, lines=frozenset((LINE,))
        )
        self.conditioner.synced(Synced(LINE, 10**9))
        usable = [c for c in self.checkpoints if c.position <= done]
        self.maintainer = max(usable, key=lambda c: c.position).checkpoint()
        self.conditioner.take([self.maintainer.begin(self.runs)], self.now)
        self.answers = []

    def feed(self, record: Record) -> None:
        self.now += 1
        self.maintainer.take(record)
        if self.chance is None or self.chance.random() < 0.6:
            self.flush()

    def flush(self) -> None:
        self.conditioner.take(self.maintainer.flush(), self.now)
        self.checkpoints.append(self.maintainer.checkpoint())
        self.deliver()

    def deliver(self) -> None:
        for document in self.conditioner.outbox.due():
            self.conditioner.outbox.sent(document, self.now)
            self.late.append(document)
        if self.chance is not None:
            self.chance.shuffle(self.late)
            self.chance.shuffle(self.answers)
        while self.late and self.likely():
            document = self.late.pop()
            if self.likely():
                self.answers.append(self.store.put(document))
        while self.answers and self.likely():
            self.conditioner.answer(self.answers.pop(), self.now)

    def likely(self) -> bool:
        return self.chance is None or self.chance.random() < 0.8

    def done(self) -> int:
        done = self.conditioner.done().get(BUCKET)
        return done.marks[SECURITY].get(LINE, 1) if done else 1

    def finish(self) -> None:
        self.flush()
        for _ in range(200):
            self.now += 11_000_000_000
            self.conditioner.tick(self.now)
            self.deliver()
            if not len(self.conditioner.outbox):
                return
        raise AssertionError("documents were never answered")


def run(records: list[Record], every_ms: int) -> dict[str, Any]:
    pipeline = Pipeline(every_ms, None)
    for record in records:
        pipeline.feed(record)
    pipeline.finish()
    return pipeline.store.content()


def run_with_restart(records: list[Record], at: int, every_ms: int, seed: int) -> dict[str, Any]:
    pipeline = Pipeline(every_ms, random.Random(seed))
    for record in records[:at]:
        pipeline.feed(record)
    pipeline.start()
    while pipeline.maintainer.position <= len(records):
        pipeline.feed(records[pipeline.maintainer.position - 1])
    pipeline.finish()
    return pipeline.store.content()


record = st.one_of(
    st.builds(
        Record,
        feed=st.sampled_from(("changes", "changes", "trades")),
        skip=st.sampled_from((0, 0, 0, 0, 2)),
        count=st.integers(1, 3),
        later=st.sampled_from((0, 1, 1, 3, 12)),
        levels=st.integers(0, 3),
    ),
    st.just(Record("tick")),
)
recordings = st.lists(record, min_size=1, max_size=25).map(lambda drawn: drawn + END)


@settings(max_examples=12, deadline=None)
@given(recordings, st.sampled_from((0, 200)), st.integers(0, 10**6))
def test_a_restart_at_every_position_gives_the_same_documents(
    records: list[Record], every_ms: int, seed: int
) -> None:
    whole = run(records, every_ms)
    for at in range(len(records) + 1):
        assert run_with_restart(records, at, every_ms, seed + at) == whole


@settings(max_examples=40, deadline=None)
@given(recordings, st.integers(0, 10**6))
def test_done_never_passes_a_record_that_is_not_stored_for_good(records: list[Record], seed: int) -> None:
    final = run(records, 0)
    owner = documents_of(records)
    pipeline = Pipeline(0, random.Random(seed))
    for n, each in enumerate(records):
        pipeline.feed(each)
        stored = pipeline.store.content()
        for position in range(1, min(pipeline.done(), n + 2)):
            for name in owner.get(position, ()):
                assert stored.get(name) == final[name], position
    pipeline.finish()
    assert pipeline.done() > len(records), "with everything stored, done reaches the end"


def documents_of(records: list[Record]) -> dict[int, set[str]]:
    """Return for each position the documents that its record ends in."""
    maintainer = Maintainer()
    owner: dict[int, set[str]] = {}
    for record in records:
        position = maintainer.position
        maintainer.take(record)
        names = owner.setdefault(position, set())
        for message in maintainer.flush():
            match type(message).__name__:
                case "Changes" | "Trades" as kind:
                    names.add(f"{SECURITY}|{kind.lower()}|{message.start_ns // 10**9}")
                case "Image":
                    names.add(f"{SECURITY}|image|{message.update_id}")
                case "Hole":
                    names.add(f"gaps/{SECURITY}|{message.feed}|{message.first_id}")
    return owner
