"""The dashboard's pure modules, run by the browser they are written for."""

from collections.abc import Awaitable, Callable
from typing import Any

from harness.dev import DevRun

OpenPage = Callable[..., Awaitable[Any]]

STORE = """async () => {
  const { Store } = await import('/js/store.js');
  const store = new Store();
  const event = (key, offset, data) => ({ key, ts: 0, offset: [0, offset], data, deleted: data === undefined });
  store.update([event('a', 5, { n: 5 }), event('b', 6, { n: 6 }), event('c', 7, undefined)]);
  store.merge([event('a', 4, { n: 4 }), event('c', 3, { n: 3 }), event('d', 2, { n: 2 })], { offsets: { 0: 6 } });
  const merged = Object.fromEntries([...store.rows].map(([key, { data }]) => [key, data.n]));
  store.merge([], { offsets: { 0: 100 } });
  const { keys, isFresh } = store.take();
  return { merged, left: store.rows.size, keys: [...keys].sort(), isFresh, again: store.take().keys.size };
}"""

HISTORY = """async () => {
  const { History } = await import('/js/history.js');
  const history = new History();
  const minute = 60_000, now = Date.UTC(2013, 0, 1, 17);
  for (let n = 0; n < 8; n += 1) {
    const dep = now - 30 * minute;
    history.observe(`a${n}`, { status: 'departed', sched_dep: 1, dep, dep_delay: n });
    if (n < 3) history.observe(`a${n}`, { status: 'arrived', sched_dep: 1, dep, arr: now - 10 * minute, dep_delay: n });
  }
  const [times, inAir, departures] = history.traffic(now);
  const at = (column, minutes) => column[times.indexOf((now - minutes * minute) / 1000)];
  const [, median] = history.delays(now);
  return { before: at(inAir, 35), flying: at(inAir, 20), after: at(inAir, 0),
           hourly: at(departures, 30), median: median.filter((value) => value !== null) };
}"""

GLOBE = """async () => {
  const { View, angle, between, vector } = await import('/js/globe.js');
  const [jfk, lax] = [vector(40.64, -73.78), vector(33.94, -118.41)];
  const middle = between(jfk, lax, 0.5);
  const view = new View(39, -95);
  view.fit([jfk, lax], { left: 10, right: 110, top: 10, bottom: 210 });
  const [a, b] = [view.project(jfk), view.project(lax)];
  const path = view.path(jfk, lax);
  return { miles: angle(jfk, lax) * 3958.8, halves: angle(jfk, middle) / angle(middle, lax),
           left: b.x, right: a.x, start: Math.hypot(path.at(0).x - a.x, path.at(0).y - a.y),
           end: Math.hypot(path.at(1).x - b.x, path.at(1).y - b.y) };
}"""

CLOCK = """async () => {
  const { SimClock } = await import('/js/sim-clock.js');
  const clock = new SimClock();
  const first = clock.report({ sim: 1000, speed: 100, lap: 1 }, 0);
  const shown = [clock.at(10), clock.at(500), clock.at(100_000)];
  const late = clock.report({ sim: 200_000, speed: 100, lap: 1 }, 2000);
  const back = clock.at(2000) >= shown[2];
  const lap = clock.report({ sim: -5_000_000, speed: 100, lap: 2 }, 3000);
  return { first, shown, late, back, lap, now: clock.at(3000) };
}"""

WINDOW = """async () => {
  const { Window } = await import('/js/measures.js');
  const window = new Window(1000);
  for (let n = 1; n <= 101; n += 1) window.add(n <= 1 ? 0 : 1500, n - 1);
  return { quantiles: window.quantiles(2000, [0, 0.5, 1]), rate: window.rate(2000),
           empty: window.quantiles(9000, [0.5])[0] === window.quantiles(9000, [0.5])[0] };
}"""


async def test_store_keeps_the_newest_whatever_the_order(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    answer = await (await open_dashboard(flights_run)).page.evaluate(STORE)
    assert answer["merged"] == {"a": 5, "b": 6, "d": 2}
    assert answer["left"] == 0
    assert answer["keys"] == ["a", "b", "d"]
    assert answer["isFresh"] is True
    assert answer["again"] == 0


async def test_history_counts_flights_in_the_air_and_departures(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    answer = await (await open_dashboard(flights_run)).page.evaluate(HISTORY)
    assert (answer["before"], answer["flying"], answer["after"]) == (0, 8, 5)
    assert answer["hourly"] == 8 * 4
    assert answer["median"] == [3.5]


async def test_globe_follows_great_circles_and_fits_the_frame(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    answer = await (await open_dashboard(flights_run)).page.evaluate(GLOBE)
    assert 2460 < answer["miles"] < 2490
    assert abs(answer["halves"] - 1) < 1e-9
    assert abs(answer["left"] - 10) < 1e-6
    assert abs(answer["right"] - 110) < 1e-6
    assert max(answer["start"], answer["end"]) < 1e-3


async def test_clock_goes_on_between_reports_stops_without_them_and_follows_a_new_lap(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    answer = await (await open_dashboard(flights_run)).page.evaluate(CLOCK)
    assert answer["first"] is False
    assert answer["shown"] == [2_000, 51_000, 301_000]
    assert (answer["late"], answer["back"]) == (False, True)
    assert (answer["lap"], answer["now"]) == (True, -5_000_000)


async def test_window_forgets_what_is_too_old(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    answer = await (await open_dashboard(flights_run)).page.evaluate(WINDOW)
    assert answer["quantiles"] == [1, 50.5, 100]
    assert answer["rate"] == 5050
    assert answer["empty"] is False
