"""Pictures of the archive, by matplotlib: depth over time, the book at an instant, traded volume by price.

Each returns a figure, labelled with units, security and UTC times, in colours that the colour-blind tell
apart (Okabe and Ito's).  Holes are grey.  Floats are for drawing alone.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import Locator

from store.answers import Gap, Trades
from store.series import BookSample
from venue.api import Side
from wire.names import parse_security, venue_of
from wire.times import iso

if TYPE_CHECKING:
    from store.history import Archive
    from store.source import Moment

COLUMNS, ROWS = 480, 200
"""Of the heat map: moments, and steps of price."""

MOST_TRADES = 4000
"""The largest of the range are drawn, if there are more."""

BINS = 60
"""Steps of price of the volume."""

_BID, _ASK, _HOLE = "#0072B2", "#D55E00", "#C4C4C4"
_HEAT = "YlGnBu"
_HALO = [withStroke(linewidth=2.4, foreground="white")]
_SHARE = 0.6
"""Of the range of the best prices: drawn beyond them on each side."""
_LEVELS = 40
"""Likewise, at least so many levels of the side of the first book."""
_NEAR = 0.01
"""Of the price: so far from the middle, and to that many levels, the book at an instant is drawn."""

Floats = npt.NDArray[np.float64]


class NothingToDraw(ValueError):
    """The range has no book, or no trade."""


def heatmap(archive: "Archive", security: str, start: "Moment", end: "Moment") -> Figure:
    """Return resting size by price over time, best bid and ask, and trades.

    Raises:
        NothingToDraw: no book of the range is stored.
        others as ``Archive.depth``.
    """
    name = parse_security(security)
    samples = _sampled(archive, name, start, end)
    times = np.array([each.moment_ns for each in samples])
    best = np.array([_best(each) for each in samples])
    edges = _steps(samples, best)
    low, high = edges[0], edges[-1]
    heat = np.stack([_binned(each, edges) for each in samples], axis=1)
    figure, axes = _sheet(
        f"{name}   {_span(name, int(times[0]), int(times[-1]))}   book, best bid and ask, trades"
    )
    step = times[1] - times[0] if len(times) > 1 else 1
    at = _dates(np.append(times, times[-1] + step))
    seen = np.ma.masked_less_equal(heat, 0)
    mesh = axes.pcolormesh(at, edges, seen, cmap=_HEAT, norm=_norm(heat), rasterized=True)
    bar = figure.colorbar(mesh, ax=axes, pad=0.015)
    bar.set_label(f"resting size per price step of {edges[1] - edges[0]:.3g}  [{_base(name)}]")
    for column, colour, what in ((0, _BID, "best bid"), (1, _ASK, "best ask")):
        axes.step(
            at[:-1], best[:, column], where="post", color=colour, lw=1.1, path_effects=_HALO, label=what
        )
    _draw_trades(axes, archive, name, int(times[0]), int(times[-1] + step))
    holes = [n for n, each in enumerate(samples) if each.crosses_hole]
    for n in holes:
        first = max(0, n - 1) if not samples[n].stale or (n and samples[n - 1].stale) else n
        axes.axvspan(at[first], at[n + 1] if samples[n].stale else at[n], color=_HOLE, lw=0, zorder=3)
    axes.set_ylim(low, high)
    _time_axis(axes)
    axes.set_ylabel(f"price  [{_quote(name)}]")
    handles, labels = axes.get_legend_handles_labels()
    if holes:
        handles.append(Patch(color=_HOLE))
        labels.append("hole: updates are missing")
    figure.legend(handles, labels, loc="outside lower center", fontsize=8, ncols=len(handles), frameon=False)
    return figure


def book(archive: "Archive", security: str, time: "Moment") -> Figure:
    """Return the size that rests at each price or better, at an instant.

    Raises:
        NothingToDraw: the book is empty.
        others as ``Archive.book_at``.
    """
    found = archive.book_at(security, time, "include")
    if found is None or not (len(found.bids) and len(found.asks)):
        raise NothingToDraw(f"the book of {security} has no two sides at {time}")
    name, scale = found.security, 10.0**-found.price_scale
    stale = "   STALE: updates after it are missing" if found.stale else ""
    at = iso(found.time_ns, venue_of(name))
    figure, axes = _sheet(f"{name}   {at} (UTC)   update {found.update_id or '-'}{stale}")
    middle = float(found.bids[0, 0] + found.asks[0, 0]) / 2 * scale
    far = [abs(float(rows[:_LEVELS][-1, 0]) * scale - middle) for rows in (found.bids, found.asks)]
    reach = max(_NEAR * middle, *far)
    for rows, colour, what in ((found.bids, _BID, "bids"), (found.asks, _ASK, "asks")):
        prices = rows[:, 0] * scale
        near = np.abs(prices - middle) <= reach
        sums = np.cumsum(rows[near, 1] * 10.0**-found.size_scale)
        where = np.concatenate((prices[near][:1], prices[near]))
        axes.fill_between(where, np.append(0, sums), step="post", color=colour, alpha=0.25, lw=0)
        axes.step(where, np.append(0, sums), where="post", color=colour, lw=1.4, label=what)
    if found.stale:
        axes.set_facecolor(_HOLE)
    axes.axvline(middle, color="black", lw=0.8, ls=":", label=f"middle {middle:,.10g}")
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.set_xlabel(f"price  [{_quote(name)}]  (within {reach:.4g} of the middle)")
    axes.set_ylabel(f"size at this price or better  [{_base(name)}]")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper center", fontsize=8)
    return figure


def volume(archive: "Archive", security: str, start: "Moment", end: "Moment") -> Figure:
    """Return traded volume by price, by the side of the aggressor.

    Raises:
        NothingToDraw: no trade of the range is stored.
        others as ``Archive.trades``.
    """
    name = parse_security(security)
    low, high, tick = float("inf"), 0.0, 0.0
    for each in archive.trades(name, start, end, "exclude"):
        if isinstance(each, Trades):
            scale = 10.0**-each.price_scale
            low, high = min(low, each.rows.prices.min() * scale), max(high, each.rows.prices.max() * scale)
            step = int(np.gcd.reduce(each.rows.prices)) * scale
            tick = min(tick, step) if tick else step
    if not high:
        raise NothingToDraw(f"no trade of {name} is stored in this range: obl coverage {name}")
    edges = _aligned(low, high, tick, BINS)
    first_ns, last_ns, holes, count = 2**63, 0, 0, 0
    sums = np.zeros((2, len(edges) - 1))
    for answer in archive.trades(name, start, end, "include"):
        if isinstance(answer, Gap):
            holes += 1
            continue
        for prices, sizes, sides, moments in _traded([answer]):
            first_ns, last_ns = min(first_ns, int(moments[0])), max(last_ns, int(moments[-1]))
            count += len(prices)
            for side in (0, 1):
                chosen = sides == side
                sums[side] += np.histogram(prices[chosen], edges, weights=sizes[chosen])[0]
    figure, axes = _sheet(f"{name}   {_span(name, first_ns, last_ns)}   {count:,} trades by price")
    middles, thick = (edges[1:] + edges[:-1]) / 2, (edges[1] - edges[0]) * 0.9
    axes.barh(middles, sums[0], thick, color=_ASK, label="aggressor bought")
    axes.barh(middles, sums[1], thick, left=sums[0], color=_BID, label="aggressor sold")
    axes.set_ylabel(f"price  [{_quote(name)}]")
    axes.set_xlabel(f"traded volume per price step of {edges[1] - edges[0]:.3g}  [{_base(name)}]")
    axes.ticklabel_format(useOffset=False, axis="y")
    axes.grid(alpha=0.25, axis="x")
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    if holes:
        handles.append(Patch(color=_HOLE))
        labels.append(f"{holes} hole{'s' if holes > 1 else ''}: trades are missing")
        axes.set_facecolor(_HOLE)
    axes.legend(handles, labels, fontsize=8)
    return figure


# --- what is drawn ---------------------------------------------------------------------------


def _sampled(archive: "Archive", name: str, start: "Moment", end: "Moment") -> list[BookSample]:
    """Return the parts of the books near their best prices, at COLUMNS moments."""
    from store.analysis import span

    low, high = span(start, end)
    high = min(high, archive.newest_book(name) + 1)
    every = f"{max(1, -(-(high - low) // COLUMNS))}ns"
    found = [
        each
        for each in archive.books(name, low, max(low, high), every, "include")
        if len(each.bids) and len(each.asks)
    ]
    if not found:
        raise NothingToDraw(f"no book of {name} is stored in this range: obl coverage {name}")
    return found


def _best(each: BookSample) -> tuple[float, float]:
    scale = 10.0**-each.price_scale
    return float(each.bids[0, 0]) * scale, float(each.asks[0, 0]) * scale


def _steps(samples: list[BookSample], best: Floats) -> Floats:
    """Return the borders of the steps of price around the best ones, whole ticks each."""
    first, scale = samples[0], 10.0 ** -samples[0].price_scale
    deep = [abs(int(side[:_LEVELS][-1, 0]) - int(side[0, 0])) * scale for side in (first.bids, first.asks)]
    room = max((best.max() - best.min()) * _SHARE, *deep)
    tick = int(np.gcd.reduce(np.concatenate((first.bids[:, 0], first.asks[:, 0])))) * scale
    return _aligned(best.min() - room, best.max() + room, tick, ROWS)


def _aligned(low: float, high: float, tick: float, most: int) -> Floats:
    """Return borders half a tick beside the prices, at most about *most* steps of whole ticks."""
    step = max(1, int(np.ceil((high - low) / tick / most))) * tick
    begin = (np.floor(low / tick + 0.25) - 0.5) * tick
    edges: Floats = begin + step * np.arange(int(np.ceil((high - begin) / step)) + 2)
    return edges


def _binned(each: BookSample, edges: Floats) -> Floats:
    """Return the size that rests in each step of price."""
    rows = np.concatenate((each.bids, each.asks))
    prices, sizes = rows[:, 0] * 10.0**-each.price_scale, rows[:, 1] * 10.0**-each.size_scale
    return np.histogram(prices, edges, weights=sizes)[0]


def _norm(heat: Floats) -> LogNorm:
    seen = heat[heat > 0]
    if not len(seen):
        return LogNorm(1, 10)
    low, high = np.quantile(seen, [0.02, 0.998]).tolist()
    return LogNorm(low, max(high, low * 10))


def _traded(answers: "Iterable[Trades | Gap]") -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yield prices, sizes, sides and times."""
    for each in answers:
        if isinstance(each, Trades):
            rows = each.rows
            prices, sizes = rows.prices * 10.0**-each.price_scale, rows.sizes * 10.0**-each.size_scale
            yield prices, sizes, rows.sides, rows.effective_ns


def _draw_trades(axes: Axes, archive: "Archive", name: str, low: int, high: int) -> None:
    kept = np.empty((4, 0))
    left_out = False
    for columns in _traded(archive.trades(name, low, high, "exclude")):
        kept = np.concatenate((kept, np.array(columns, np.float64)), axis=1)
        if kept.shape[1] > 2 * MOST_TRADES:
            kept, left_out = kept[:, np.argsort(kept[1])[-MOST_TRADES:]], True
    if kept.shape[1] > MOST_TRADES:
        kept, left_out = kept[:, np.argsort(kept[1])[-MOST_TRADES:]], True
    if not kept.shape[1]:
        return
    largest = kept[1].max()
    which = f" (the {MOST_TRADES:,} largest trades)" if left_out else ""
    for side, marker, colour, what in (
        (Side.BUY, "^", _ASK, "bought"),
        (Side.SELL, "v", _BID, "sold"),
    ):
        prices, sizes, _, times = kept[:, kept[2] == side.value]
        axes.scatter(
            _dates(times),
            prices,
            s=3 + 60 * sizes / largest,
            marker=marker,
            color=colour,
            edgecolors="white",
            linewidths=0.3,
            alpha=0.85,
            label=f"aggressor {what}, area by size{which if side is Side.BUY else ''}",
            zorder=4,
        )


# --- the sheet -------------------------------------------------------------------------------


def _sheet(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9.6, 4.8), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=9, loc="left")
    axes.ticklabel_format(useOffset=False, style="plain", axis="both")
    return figure, axes


def _time_axis(axes: Axes) -> None:
    locator: Locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("exchange time  [UTC]")


def _dates(times_ns: npt.NDArray[Any]) -> Any:
    return times_ns.astype(np.int64).astype("datetime64[ns]")


def _span(name: str, first_ns: int, last_ns: int) -> str:
    first, last = (iso(each - each % 1_000_000, venue_of(name)) for each in (first_ns, last_ns))
    return f"{first} to {last} (UTC)"


def _base(name: str) -> str:
    base, separator, _ = name.partition(":")[2].partition("-")
    return base if separator else f"base of {base}"


def _quote(name: str) -> str:
    symbol, separator, quote = name.partition(":")[2].partition("-")
    return quote if separator else f"quote of {symbol}"
