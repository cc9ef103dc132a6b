"""What the settings mean for one line: where its venue is, how it subscribes, where its journal lies."""

import time
from pathlib import Path

from ingest.aside import Aside
from ingest.link import Subscription
from ingest.roster import BadRoster, load_roster
from journal.clock import steady_clock
from journal.formats import OtherFormat
from journal.writer import DiskRefused, FolderInUse, Writer, WrongLine
from venue.api import Credentials, Venue
from wire.log import log
from wire.messages import Wanted
from wire.names import is_first
from wire.service import CannotRun
from wire.settings import Settings


def addresses(settings: Settings, venue: Venue) -> tuple[str, str]:
    """Return the websocket's whole address and the REST interface's base."""
    ws_url: str = getattr(settings, f"{venue.NAME}_ws_url")
    rest_url: str = getattr(settings, f"{venue.NAME}_rest_url")
    return ws_url + venue.ws_path(), rest_url


def subscription_of(settings: Settings, venue: Venue, line: str) -> Subscription:
    """Return how *line* subscribes.

    Without update ids nobody can tell whether two lines bring the same update: the first line alone
    subscribes to the book of such a feed, the others to its trades, which have ids.

    Raises:
        CannotRun: the credentials cannot sign.
    """
    credentials, reason = None, ""
    if venue.NAME == "coinbase":
        key, secret = settings.coinbase_api_key, settings.coinbase_api_secret
        passphrase = settings.coinbase_api_passphrase
        if key and secret and passphrase:
            credentials = Credentials(key.reveal(), secret.reveal(), passphrase.reveal())
        else:
            reason = "no COINBASE_API_KEY"
    feed = venue.feed_of(credentials)
    part = "" if is_first(line) else venue.FEEDS[feed].trades
    if part:
        reason = f"{reason}: only the first line has the book, this one the trades"
    subscription = Subscription(feed, settings.orderbook_updatefrequency, credentials, part, reason)
    try:
        venue.subscribe(
            ["X"],
            feed=subscription.channels,
            update_ms=subscription.update_ms,
            request_id=1,
            credentials=credentials,
            now_s="0",
        )
    except ValueError as error:
        raise CannotRun(str(error)) from None
    return subscription


def open_journal(folder: Path, line: str, segment_bytes: int) -> Writer:
    """Return the writer of the line's journal in *folder*, which is DATA_DIR/journal/LINE.

    On a full disk it takes the space that an earlier start set aside: the line is then up, and paused.

    Raises:
        CannotRun: another process has it, it is another line's or version's, or the disk does not take it.
    """
    data_dir = folder.parent.parent
    witness, clock = data_dir / "epochs" / folder.name, steady_clock(data_dir)

    def opened() -> Writer:
        return Writer(
            folder, line, segment_bytes=segment_bytes, now_ns=time.time_ns, clock=clock, witness=witness
        )

    try:
        try:
            return opened()
        except DiskRefused:
            if not Aside(folder).free():
                raise
            return opened()
    except (FolderInUse, OtherFormat, WrongLine) as error:
        raise CannotRun(str(error)) from error
    except DiskRefused as error:
        raise CannotRun(f"{error}: free space where DATA_DIR is, or mend that disk") from error


def remembered(folder: Path) -> tuple[Wanted, ...]:
    """Return the securities that the journal in *folder* has added; none where that cannot be read.

    Recording comes first: control says within a second what is to be recorded.
    """
    try:
        return load_roster(folder)
    except BadRoster as error:
        log.error('event=bad_roster reason="%s"', error)
        return ()
