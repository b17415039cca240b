/** Draws the flights in the air on the globe: a still picture below, what moves above it. */

import { isInAir, progress } from './flight.js';
import { View, angle, vector } from './globe.js';
import { drawGlobe } from './map-ground.js';
import { placeLabels } from './map-labels.js';

/** @typedef {import('./flight.js').Flight} Flight */
/** @typedef {{key: string, flight: Flight, share: number, path: import('./globe.js').Path, tone: number}} Plane */

/** Somewhat south of the country, so that paths rise from the ground towards the top of the picture. */
const FACING = /** @type {const} */ ([21, -95]);
/** Places farther from New York than this do not make everybody else small: paths lead out of the picture. */
const FRAMED_ANGLE = 0.72;
/** Share of the way that a trail covers. */
const TRAIL = 0.16;
const TRAIL_PARTS = 2;
const RIPPLE_MS = 1_400;
const MAX_RIPPLES = 60;
const HIT_RADIUS = 16;
/** Minutes late from which a flight has the second and the third colour. */
const LATE = [15, 60];
const LABELS_EVERY_MS = 900;

export class FlightMap {
  /** @type {Plane[]} */
  planes = [];
  #canvas;
  #context;
  #reference;
  #ground = document.createElement('canvas');
  #names = document.createElement('canvas');
  #view = new View(...FACING);
  /** @type {Map<string, import('./globe.js').Vector>} */
  #places = new Map();
  /** @type {Map<string, import('./globe.js').Path>} */
  #paths = new Map();
  /** @type {{code: string, at: number}[]} */
  #ripples = [];
  /** @type {Record<string, string>} */
  #colors = {};
  #width = 0;
  #height = 0;
  #isStale = true;
  #labelledAt = -Infinity;

  /** @param {HTMLCanvasElement} canvas @param {import('./reference.js').Reference} reference */
  constructor(canvas, reference) {
    this.#canvas = canvas;
    this.#context = contextOf(canvas);
    this.#reference = reference;
    for (const [code, { lat, lon }] of Object.entries(reference.airports)) {
      this.#places.set(code, vector(lat, lon));
    }
    new ResizeObserver(() => this.invalidate()).observe(canvas);
  }

  /** Size or colours have changed. */
  invalidate() {
    this.#isStale = true;
  }

  /** A flight has just landed. @param {string} code @param {number} now */
  ripple(code, now) {
    this.#ripples.push({ code, at: now });
    if (this.#ripples.length > MAX_RIPPLES) this.#ripples.shift();
  }

  /**
   * Which flights are in the air, after a change of rows.
   *
   * @param {Map<string, {data: Flight}>} rows
   */
  setRows(rows) {
    this.planes = [];
    for (const [key, { data }] of rows) {
      const path = isInAir(data) ? this.#path(key.split('/', 1)[0], data.dest) : null;
      if (path) this.planes.push({ key, flight: data, share: 0, path, tone: tone(data.dep_delay ?? 0) });
    }
  }

  /** @param {number} simNow @param {number} now @param {{selected: string | null, isStill: boolean}} options */
  draw(simNow, now, { selected, isStill }) {
    if (this.#isStale) this.#redrawGround();
    const context = this.#context;
    context.clearRect(0, 0, this.#width, this.#height);
    context.drawImage(this.#ground, 0, 0, this.#width, this.#height);
    for (const plane of this.planes) plane.share = progress(plane.flight, simNow);
    this.#drawPaths();
    this.#drawSelected(selected);
    if (!isStill) this.#drawRipples(now);
    for (const plane of this.planes) this.#drawPlane(plane, plane.key === selected);
    if (now - this.#labelledAt > LABELS_EVERY_MS) this.#relabel(now);
    context.drawImage(this.#names, 0, 0, this.#width, this.#height);
  }

  /** The plane under the pointer. @param {number} x @param {number} y @returns {(Plane & {x: number, y: number}) | null} */
  hit(x, y) {
    let best = null;
    let nearest = HIT_RADIUS;
    for (const plane of this.planes) {
      const place = plane.path.at(plane.share);
      const distance = Math.hypot(place.x - x, place.y - y);
      if (distance < nearest) [best, nearest] = [{ ...plane, x: place.x, y: place.y }, distance];
    }
    return best;
  }

  #redrawGround() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || height === 0) return;
    this.#isStale = false;
    [this.#width, this.#height] = [width, height];
    for (const canvas of [this.#canvas, this.#ground, this.#names]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    for (const canvas of [this.#canvas, this.#names]) contextOf(canvas).setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.#canvas);
    for (const name of ['on-time', 'late', 'very-late', 'ink', 'muted', 'surface', 'ocean', 'ocean-edge', 'land', 'graticule', 'place']) {
      this.#colors[name] = style.getPropertyValue(`--map-${name}`).trim();
    }
    this.#view.fit(this.#framed(), {
      left: width * 0.07,
      right: width * 0.96,
      top: Math.max(62, height * 0.17),
      bottom: height * 0.91,
    });
    this.#paths.clear();
    for (const plane of this.planes) {
      plane.path = /** @type {import('./globe.js').Path} */ (this.#path(plane.key.split('/', 1)[0], plane.flight.dest));
    }
    this.#labelledAt = -Infinity;
    const context = contextOf(this.#ground);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawGlobe(context, this.#view, { width, height }, this.#colors, {
      dots: this.#reference.dots,
      places: [...this.#places.values()],
    });
  }

  #framed() {
    const [origin] = this.#reference.origins;
    const home = this.#places.get(origin);
    const places = [...this.#places.values()];
    return home ? places.filter((place) => angle(home, place) < FRAMED_ANGLE) : places;
  }

  /** @param {string} origin @param {string} dest */
  #path(origin, dest) {
    const id = `${origin} ${dest}`;
    let path = this.#paths.get(id);
    if (!path) {
      const [from, to] = [this.#places.get(origin), this.#places.get(dest)];
      if (!from || !to) return null;
      this.#paths.set(id, (path = this.#view.path(from, to)));
    }
    return path;
  }

  #drawPaths() {
    const context = this.#context;
    context.lineCap = 'round';
    for (const [level, name] of ['on-time', 'late', 'very-late'].entries()) {
      const planes = this.planes.filter((plane) => plane.tone === level);
      context.strokeStyle = this.#colors[name];
      context.globalAlpha = 0.16;
      context.lineWidth = 0.8;
      this.#trace(planes, () => 0, (share) => share);
      for (let part = 1; part <= TRAIL_PARTS; part += 1) {
        context.globalAlpha = 0.32;
        context.lineWidth = 0.8 + 0.6 * part;
        const length = TRAIL * (1 - (part - 1) / TRAIL_PARTS);
        this.#trace(planes, (share) => Math.max(0, share - length), (share) => share);
      }
    }
    context.globalAlpha = 1;
  }

  /** @param {Plane[]} planes @param {(share: number) => number} from @param {(share: number) => number} to */
  #trace(planes, from, to) {
    this.#context.beginPath();
    for (const { path, share } of planes) if (share > 0) path.trace(this.#context, from(share), to(share));
    this.#context.stroke();
  }

  /** @param {string | null} selected */
  #drawSelected(selected) {
    const plane = this.planes.find(({ key }) => key === selected);
    if (!plane) return;
    const context = this.#context;
    context.strokeStyle = this.#colors.ink;
    context.lineWidth = 1.4;
    context.setLineDash([2, 4]);
    context.beginPath();
    plane.path.trace(context, plane.share, 1);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    plane.path.trace(context, 0, plane.share);
    context.stroke();
  }

  /** @param {Plane} plane @param {boolean} isSelected */
  #drawPlane({ path, share, tone: level }, isSelected) {
    const context = this.#context;
    const { x, y, heading } = path.at(share);
    const size = isSelected ? 7 : 4.4;
    context.save();
    context.translate(x, y);
    if (level === 2 || isSelected) {
      context.strokeStyle = this.#colors[isSelected ? 'ink' : 'very-late'];
      context.globalAlpha = isSelected ? 1 : 0.65;
      context.lineWidth = 1;
      context.beginPath();
      context.arc(0, 0, size + 3.2, 0, 2 * Math.PI);
      context.stroke();
      context.globalAlpha = 1;
    }
    context.rotate(heading);
    context.beginPath();
    context.moveTo(size, 0);
    context.lineTo(-size * 0.8, size * 0.72);
    context.lineTo(-size * 0.35, 0);
    context.lineTo(-size * 0.8, -size * 0.72);
    context.closePath();
    context.fillStyle = this.#colors[['on-time', 'late', 'very-late'][level]];
    context.strokeStyle = this.#colors.surface;
    context.lineWidth = 0.8;
    context.stroke();
    context.fill();
    context.restore();
  }

  /** @param {number} now */
  #drawRipples(now) {
    const context = this.#context;
    this.#ripples = this.#ripples.filter(({ at }) => now - at < RIPPLE_MS);
    context.strokeStyle = this.#colors['on-time'];
    context.lineWidth = 1.2;
    for (const { code, at } of this.#ripples) {
      const place = this.#places.get(code);
      if (!place) continue;
      const age = (now - at) / RIPPLE_MS;
      const { x, y } = this.#view.project(place);
      context.globalAlpha = (1 - age) ** 2;
      context.beginPath();
      context.arc(x, y, 2 + 13 * Math.sqrt(age), 0, 2 * Math.PI);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** Name the destinations that most planes fly to, where there is room. @param {number} now */
  #relabel(now) {
    this.#labelledAt = now;
    const flights = new Map();
    for (const { flight } of this.planes) flights.set(flight.dest, (flights.get(flight.dest) ?? 0) + 1);
    const wanted = [...flights].sort((a, b) => b[1] - a[1]).map(([code]) => code);
    this.#context.font = this.#font();
    const labels = placeLabels(
      wanted.flatMap((code) => {
        const place = this.#places.get(code);
        return place ? [{ text: code, ...this.#view.project(place) }] : [];
      }),
      (text) => this.#context.measureText(text).width,
      { width: this.#width, height: this.#height, reserved: this.#reserved() },
    );
    this.#drawLabels(labels);
  }

  /** New York's corner is too busy for names. */
  #reserved() {
    const jfk = this.#places.get('JFK');
    if (!jfk) return [];
    const { x, y } = this.#view.project(jfk);
    return [{ left: x - 14, right: x + 14, top: y - 12, bottom: y + 12 }];
  }

  /** @param {import('./map-labels.js').Label[]} labels */
  #drawLabels(labels) {
    const context = contextOf(this.#names);
    context.clearRect(0, 0, this.#width, this.#height);
    context.font = this.#font();
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = 3;
    context.strokeStyle = this.#colors.ocean;
    context.fillStyle = this.#colors.ink;
    for (const { text, x, y } of labels) {
      context.globalAlpha = 0.75;
      context.strokeText(text, x, y);
      context.globalAlpha = 0.9;
      context.fillText(text, x, y);
    }
    context.globalAlpha = 1;
  }

  #font() {
    return `600 ${this.#width < 480 ? 9 : 10.5}px Inter, sans-serif`;
  }
}

/** @param {HTMLCanvasElement} canvas */
const contextOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));

/** @param {number} delay */
const tone = (delay) => LATE.filter((minutes) => delay >= minutes).length;
