/** Puts the page together: what comes in is kept at once, what is seen is written once a frame. */

import { Board } from './board.js';
import { RATES, readChoice, writeChoice } from './choice.js';
import { Segments } from './controls.js';
import { detailText } from './detail.js';
import { VIEWS, isInView } from './flight.js';
import { Following } from './following/following.js';
import { findService } from './following/service.js';
import { YourFlights } from './following/your-flights.js';
import { amount, calendarDate, clockTime, delayText, milliseconds } from './format.js';
import { History } from './history.js';
import { ALL } from './link-names.js';
import { Link } from './link.js';
import { FlightMap } from './map.js';
import { pointAtPlanes } from './map-pointer.js';
import { Window } from './measures.js';
import { makeMeters } from './meters.js';
import { Notices } from './notices.js';
import { Pace } from './pace.js';
import { Plot } from './plots.js';
import { loadReference } from './reference.js';
import { listen } from './shortcuts.js';
import { SimClock } from './sim-clock.js';
import { linkStatus, statusWriter } from './status.js';
import { Store } from './store.js';
import { motion, themeSwitch } from './theme.js';

const SLOW_TICK_MS = 500;
const METER_MS = 1_000;
const RATE_WINDOW_MS = 3_000;
const FRESHNESS_WINDOW_MS = 5_000;
const STILL_FRAME_MS = 1_000;
const MAX_PENDING_STAMPS = 2_000;

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const byId = (id) => /** @type {T} */ (document.getElementById(id));

class Page {
  #reference;
  #store = new Store();
  #history = new History();
  #sim = new SimClock();
  #board;
  #map;
  #notices;
  #plots;
  #meters;
  #link;
  #airports;
  #modes;
  #rates;
  #views;
  #writeStatus;
  /** What the visitor follows; null where the page is served without that. @type {YourFlights | null} */
  #yours = null;
  #choice;
  /** @type {import('./flight.js').View} */
  #view = 'departures';
  #hasValues = false;
  /** Timestamps of records that are not on the screen yet. @type {number[]} */
  #stamps = [];
  #freshness = new Window(FRESHNESS_WINDOW_MS);
  #received = new Window(RATE_WINDOW_MS);
  #folded = new Window(RATE_WINDOW_MS);
  #frames = new Window(RATE_WINDOW_MS);
  #counted = { frames: 0, coalesced: 0 };
  /** @type {{rate: number, rates: Record<string, number>} | null} */
  #inKafka = null;
  #pace = new Pace();
  #writtenAt = 0;
  #slowAt = 0;
  #meteredAt = 0;
  #drawnAt = 0;

  /** @param {import('./reference.js').Reference} reference */
  constructor(reference) {
    this.#reference = reference;
    this.#choice = readChoice(location.hash, reference.origins);
    this.#board = new Board({ grid: byId('board'), body: byId('rows'), empty: byId('board-empty') }, reference);
    this.#board.onSelect = (key) => this.#showDetail(key);
    this.#map = new FlightMap(byId('map'), reference);
    pointAtPlanes(byId('map'), byId('map-tip'), this.#map, reference, (key) => this.#selectPlane(key));
    this.#notices = new Notices(byId('notices'), reference);
    this.#plots = makePlots();
    this.#meters = makeMeters(byId('meters'));
    this.#writeStatus = statusWriter({
      state: byId('link-state'), age: byId('link-age'), node: byId('link-node'),
      banner: byId('banner'), text: byId('banner-text'), retry: byId('banner-retry'),
    });
    const choose = () => this.#choose();
    this.#airports = new Segments(byId('airports'), [
      { value: ALL, label: 'All' },
      ...reference.origins.map((code) => ({ value: code, label: code, title: reference.airports[code].name })),
    ], choose);
    this.#modes = new Segments(byId('modes'), [
      { value: 'latest', label: 'latest', title: 'The newest value of each flight; what is replaced on the way is folded away' },
      { value: 'every', label: 'every', title: 'Each event once, in order' },
    ], choose);
    this.#rates = new Segments(byId('rates'), RATES.map((rate) => ({ value: rate, label: rateLabel(rate) })), choose);
    this.#views = new Segments(byId('views'), Object.entries(VIEWS).map(([value, label]) => ({ value, label })), (value) => {
      this.#view = /** @type {import('./flight.js').View} */ (value);
      this.#board.show(this.#view, this.#simNow());
    });
    this.#views.value = this.#view;
    this.#showChoice();
    this.#link = new Link(socketUrl(), {
      onSwitch: () => this.#forget(),
      onTable: (events) => this.#keep(() => this.#store.replace(events)),
      onBase: (events, position) => this.#keep(() => this.#store.merge(events, position)),
      onEvents: (events) => this.#receive(events),
      onNotices: (events) => this.#notices.add(events),
      onClock: (row) => this.#setClock(row),
      onState: () => this.#tellStatus(),
    });
    this.#link.start(this.#choice);
    byId('banner-retry').addEventListener('click', () => this.#link.retry());
    themeSwitch(byId('theme'), () => this.#restyle());
    addEventListener('hashchange', () => this.#readHash());
    this.#listenToKeys();
    this.#followFlights();
    requestAnimationFrame((now) => this.#frame(now));
    setInterval(() => this.#tellStatus(), 1_000);
  }

  // What comes in

  /** @param {import('./store.js').Update[]} events */
  #receive(events) {
    const now = performance.now();
    this.#store.update(events);
    this.#received.add(now, events.length);
    for (const { ts, data } of events) {
      if (this.#stamps.length < MAX_PENDING_STAMPS) this.#stamps.push(ts);
      if (data) this.#sim.hint(data.sim, now);
    }
  }

  /** @param {() => void} replace */
  #keep(replace) {
    replace();
    const now = performance.now();
    for (const { data } of this.#store.rows.values()) this.#sim.hint(data.sim, now);
    this.#hasValues = true;
    this.#board.setBusy(false);
    this.#yours?.write();
    this.#tellStatus();
  }

  /** @param {{sim: number, speed: number, lap: number, rate: number, rates: Record<string, number>}} row */
  #setClock(row) {
    this.#inKafka = row;
    if (!this.#sim.report(row, performance.now())) return;
    this.#history.clear();
    for (const [key, { data }] of this.#store.rows) this.#history.observe(key, data);
  }

  #forget() {
    this.#store.clear();
    this.#history.clear();
    this.#notices.clear();
    this.#stamps = [];
    this.#hasValues = false;
    for (const window of [this.#freshness, this.#received, this.#folded, this.#frames]) window.clear();
    this.#board.select(null);
    this.#board.setBusy(true);
  }

  // What is chosen

  #choose() {
    this.#choice = { airport: this.#airports.value, mode: /** @type {'latest' | 'every'} */ (this.#modes.value), rate: this.#rates.value };
    history.replaceState(null, '', writeChoice(this.#choice));
    this.#counted = { frames: 0, coalesced: 0 };
    this.#link.choose(this.#choice);
    const { frames, coalesced } = this.#link.counters;
    this.#counted = { frames, coalesced };
    this.#tellStatus();
  }

  #showChoice() {
    this.#airports.value = this.#choice.airport;
    this.#modes.value = this.#choice.mode;
    this.#rates.value = this.#choice.rate;
  }

  #readHash() {
    this.#choice = readChoice(location.hash, this.#reference.origins);
    this.#showChoice();
    this.#choose();
  }

  #listenToKeys() {
    const pick = (/** @type {Segments<any>} */ segments, /** @type {any} */ value) => () => {
      segments.value = value;
      this.#choose();
    };
    const airports = [ALL, ...this.#reference.origins];
    listen(
      [
        ...airports.map((airport, n) => ({
          keys: [String(n + 1)], shows: String(n + 1), run: pick(this.#airports, airport),
          does: airport === ALL ? 'All airports' : this.#reference.airports[airport].name,
        })),
        { keys: ['m'], shows: 'M', does: 'Delivery: latest or every', run: () => pick(this.#modes, this.#modes.value === 'latest' ? 'every' : 'latest')() },
        { keys: ['['], shows: '[', does: 'Update more often', run: () => pick(this.#rates, this.#rates.step(-1))() },
        { keys: [']'], shows: ']', does: 'Update less often', run: () => pick(this.#rates, this.#rates.step(1))() },
        { keys: ['v'], shows: 'V', does: 'Other rows of the board', run: () => this.#nextView() },
        { keys: ['b'], shows: 'B', does: 'To the board', run: () => byId('board').focus() },
        { keys: [], shows: '↑ ↓', does: 'Choose a flight on the board' },
        { keys: ['f'], shows: 'F', does: 'Follow the chosen flight, or no longer', run: () => this.#yours?.toggle() },
        { keys: ['y'], shows: 'Y', does: 'To your flights', run: () => this.#yours?.focus() },
        { keys: ['t'], shows: 'T', does: 'Colours: system, light, dark', run: () => byId('theme').click() },
        { keys: [], shows: '?', does: 'This list' },
      ],
      { dialog: byId('help'), list: byId('help-keys'), opener: byId('help-open') },
    );
  }

  #nextView() {
    const names = /** @type {import('./flight.js').View[]} */ (Object.keys(VIEWS));
    this.#view = names[(names.indexOf(this.#view) + 1) % names.length];
    this.#views.value = this.#view;
    this.#board.show(this.#view, this.#simNow());
  }

  async #followFlights() {
    const service = await findService();
    if (!service) return;
    const elements = {
      panel: byId('yours'), title: byId('yours-title'), note: byId('yours-note'), empty: byId('yours-empty'),
      list: byId('yours-list'), readAll: byId('yours-read'), spoken: byId('yours-spoken'), button: byId('follow'),
    };
    const following = new Following(service, socketUrl(), () => this.#yours?.write());
    this.#yours = new YourFlights(elements, following, this.#reference, (key) => this.#store.rows.get(key)?.data);
    this.#yours.onOpen = (key) => this.#showFlight(key);
    this.#yours.onFollow = (flights) => this.#board.follow(flights);
    this.#yours.select(this.#board.selected);
    following.start();
    this.#yours.write();
  }

  /** Bring a flight into view, if the board has it. @param {string} key */
  #showFlight(key) {
    const row = this.#store.rows.get(key);
    if (!row) return;
    if (!isInView(this.#view, row.data, this.#simNow())) {
      this.#view = this.#views.value = 'all';
      this.#board.show(this.#view, this.#simNow());
    }
    this.#board.select(key);
    this.#board.reveal();
  }

  /** @param {string} key */
  #selectPlane(key) {
    this.#board.select(key);
  }

  // What is seen

  /** @param {number} now */
  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    const simNow = this.#simNow();
    this.#pace.frame(now);
    if (now - this.#writtenAt >= this.#pace.boardInterval) {
      this.#writtenAt = now;
      this.#writeRows(simNow, now);
    }
    if (now - this.#drawnAt >= (motion.isReduced ? STILL_FRAME_MS : this.#pace.mapInterval)) {
      this.#drawnAt = now;
      this.#map.draw(simNow, now, { selected: this.#board.selected, isStill: motion.isReduced });
    }
    if (now - this.#slowAt >= SLOW_TICK_MS) {
      this.#slowAt = now;
      this.#slowTick(simNow, now);
    }
  }

  /** @param {number} simNow @param {number} now */
  #writeRows(simNow, now) {
    const { keys, isFresh } = this.#store.take();
    if (keys.size > 0) {
      for (const key of keys) this.#observe(key, isFresh, now);
      this.#board.write(keys, this.#store.rows, { simNow, highlights: !isFresh && this.#pace.hasTimeForFlashes });
      this.#map.setRows(this.#store.rows);
    }
    const wall = Date.now();
    for (const stamp of this.#stamps) this.#freshness.add(now, Math.max(0, wall - stamp));
    this.#stamps = [];
  }

  /** @param {string} key @param {boolean} isFresh @param {number} now */
  #observe(key, isFresh, now) {
    const flight = this.#store.rows.get(key)?.data;
    if (!flight) return;
    this.#history.observe(key, flight);
    if (!isFresh && flight.status === 'arrived') this.#map.ripple(flight.dest, now);
  }

  /** @param {number} simNow @param {number} now */
  #slowTick(simNow, now) {
    if (Number.isFinite(simNow)) {
      write('clock-time', clockTime(simNow));
      write('clock-date', calendarDate(simNow));
      write('clock-speed', this.#sim.speed ? `${amount(this.#sim.speed)}× real time` : '');
      this.#plots.traffic.show(this.#history.traffic(simNow));
      this.#plots.delay.show(this.#history.delays(simNow));
    }
    this.#board.show(this.#view, simNow);
    this.#count(simNow);
    this.#measure(now);
  }

  /** @param {number} simNow */
  #count(simNow) {
    const views = /** @type {import('./flight.js').View[]} */ (Object.keys(VIEWS));
    const counts = Object.fromEntries(views.map((view) => [view, 0]));
    for (const { data } of this.#store.rows.values()) {
      for (const view of views) if (isInView(view, data, simNow)) counts[view] += 1;
    }
    for (const view of views) this.#views.setCount(view, counts[view]);
    write('in-air', String(counts.air));
  }

  /** @param {number} now */
  #measure(now) {
    const { frames, coalesced } = this.#link.counters;
    this.#frames.add(now, Math.max(0, frames - this.#counted.frames));
    this.#folded.add(now, Math.max(0, coalesced - this.#counted.coalesced));
    this.#counted = { frames, coalesced };
    const [median, high] = this.#freshness.quantiles(now, [0.5, 0.95]);
    const received = this.#received.rate(now);
    const folded = this.#folded.rate(now);
    const share = received + folded > 0 ? (100 * folded) / (received + folded) : 0;
    const kafka = this.#rateInKafka();
    const [value, unit] = milliseconds(median);
    this.#meters.freshness.show(value, unit, Number.isFinite(high) ? `p95 ${milliseconds(high).join(' ')}` : '');
    this.#meters.received.show(amount(received), '/s');
    this.#meters.kafka.show(amount(kafka), '/s');
    this.#meters.coalesced.show(share.toFixed(0), '%');
    this.#meters.frames.show(amount(this.#frames.rate(now)), '/s');
    if (now - this.#meteredAt < METER_MS) return;
    this.#meteredAt = now;
    const values = { freshness: median, received, kafka, coalesced: share, frames: this.#frames.rate(now) };
    for (const [id, meter] of Object.entries(this.#meters)) meter.plot(values[/** @type {keyof typeof values} */ (id)]);
  }

  #rateInKafka() {
    if (!this.#inKafka || this.#link.state !== 'connected') return NaN;
    const { airport } = this.#choice;
    const { rates } = this.#inKafka;
    return airport === ALL ? Object.values(rates).reduce((sum, rate) => sum + rate, 0) : (rates[airport] ?? 0);
  }

  #tellStatus() {
    const now = performance.now();
    const { node, refusal, feedSince, heardAt } = this.#link;
    this.#writeStatus({
      status: linkStatus(this.#link, this.#hasValues),
      feedAgeMs: now - feedSince,
      heardAgeMs: now - heardAt,
      node,
      refusal,
    });
  }

  /** @param {string | null} key */
  #showDetail(key) {
    const row = key ? this.#store.rows.get(key) : undefined;
    const lines = key && row ? detailText(key, row.data, this.#reference) : [];
    byId('detail').replaceChildren(...lines);
    this.#yours?.select(key);
  }

  #restyle() {
    this.#map.invalidate();
    for (const plot of Object.values(this.#plots)) plot.restyle();
  }

  #simNow() {
    return this.#sim.at(performance.now());
  }
}

function makePlots() {
  const whole = (/** @type {number} */ value) => value.toFixed(0);
  const minutes = (/** @type {number} */ value) => delayText(value);
  return {
    traffic: new Plot(byId('traffic'), byId('traffic-key'), [
      { name: 'in the air', color: '--plot-a', fill: '--plot-a', format: whole },
      { name: 'departures/h', color: '--plot-b', format: whole, width: 1.4 },
      { name: 'arrivals/h', color: '--plot-c', format: whole, dash: [5, 4], width: 1.4 },
    ], { unit: '' }),
    delay: new Plot(byId('delay'), byId('delay-key'), [
      { name: 'median', color: '--plot-a', format: minutes },
      { name: '90th pct', color: '--plot-b', format: minutes, dash: [5, 4], width: 1.4 },
    ], { unit: 'min', band: true, floor: -5 }),
  };
}

/** @param {string} id @param {string} text */
function write(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** @param {number} rate */
const rateLabel = (rate) => (rate === 0 ? '0' : rate < 1000 ? `${rate} ms` : `${rate / 1000} s`);

function socketUrl() {
  const url = new URL('/v1/ws', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

new Page(await loadReference());
