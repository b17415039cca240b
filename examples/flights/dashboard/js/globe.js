/** The globe as seen from far above: great circles, and where places fall on the picture. Pure. */

/** @typedef {[number, number, number]} Vector of length 1 from the centre of the earth */
/** @typedef {{x: number, y: number, z: number}} Point on the picture; z > 0: on the side we see */

const RADIANS = Math.PI / 180;
/** Height of a path's middle above the ground, as a share of its length: so that paths can be told apart. */
const LIFT = 0.17;
const SEGMENTS = 40;

/** @param {number} lat @param {number} lon @returns {Vector} */
export function vector(lat, lon) {
  const [phi, lambda] = [lat * RADIANS, lon * RADIANS];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

/** Angle between two places, in radians. @param {Vector} a @param {Vector} b */
export function angle(a, b) {
  return Math.acos(Math.min(1, Math.max(-1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])));
}

/** The place at `share` of the great circle from `a` to `b`. @param {Vector} a @param {Vector} b @param {number} share @returns {Vector} */
export function between(a, b, share) {
  const whole = angle(a, b);
  if (whole < 1e-9) return a;
  const [p, q] = [Math.sin((1 - share) * whole) / Math.sin(whole), Math.sin(share * whole) / Math.sin(whole)];
  return [a[0] * p + b[0] * q, a[1] * p + b[1] * q, a[2] * p + b[2] * q];
}

/** Orthographic view of the globe, turned so that one place faces us, scaled so that others fit. */
export class View {
  #right;
  #up;
  #toward;
  radius = 1;
  centerX = 0;
  centerY = 0;

  /** @param {number} lat @param {number} lon the place that faces us */
  constructor(lat, lon) {
    const [phi, lambda] = [lat * RADIANS, lon * RADIANS];
    this.#toward = vector(lat, lon);
    this.#right = [-Math.sin(lambda), Math.cos(lambda), 0];
    this.#up = [-Math.sin(phi) * Math.cos(lambda), -Math.sin(phi) * Math.sin(lambda), Math.cos(phi)];
  }

  /**
   * Choose scale and middle so that `places` lie within the frame.
   *
   * @param {Vector[]} places
   * @param {{left: number, top: number, right: number, bottom: number}} frame
   */
  fit(places, frame) {
    this.radius = 1;
    this.centerX = this.centerY = 0;
    const points = places.map((place) => this.project(place));
    const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const [width, height] = [frame.right - frame.left, frame.bottom - frame.top];
    this.radius = Math.min(width / (right - left), height / (bottom - top));
    this.centerX = frame.left + width / 2 - ((left + right) / 2) * this.radius;
    this.centerY = frame.top + height / 2 - ((top + bottom) / 2) * this.radius;
  }

  /** @param {Vector} place @param {number} [height] above the ground, in radii @returns {Point} */
  project(place, height = 0) {
    const scale = this.radius * (1 + height);
    return {
      x: this.centerX + dot(place, this.#right) * scale,
      y: this.centerY - dot(place, this.#up) * scale,
      z: dot(place, this.#toward),
    };
  }

  /** The way from `a` to `b` as points of the picture. @param {Vector} a @param {Vector} b @returns {Path} */
  path(a, b) {
    const lift = LIFT * angle(a, b);
    const xy = new Float32Array(2 * (SEGMENTS + 1));
    for (let n = 0; n <= SEGMENTS; n += 1) {
      const share = n / SEGMENTS;
      const { x, y } = this.project(between(a, b, share), lift * Math.sin(Math.PI * share));
      xy[2 * n] = x;
      xy[2 * n + 1] = y;
    }
    return new Path(xy);
  }
}

/** A way across the picture. */
export class Path {
  #xy;

  /** @param {Float32Array} xy */
  constructor(xy) {
    this.#xy = xy;
  }

  /** Where one is at `share` of the way, and in which direction. @param {number} share */
  at(share) {
    const place = Math.min(Math.max(share, 0), 1) * SEGMENTS;
    const n = Math.min(Math.floor(place), SEGMENTS - 1);
    const [x0, y0, x1, y1] = this.#xy.subarray(2 * n, 2 * n + 4);
    const rest = place - n;
    return { x: x0 + (x1 - x0) * rest, y: y0 + (y1 - y0) * rest, heading: Math.atan2(y1 - y0, x1 - x0) };
  }

  /** Add the stretch between two shares to the context's current path. @param {CanvasRenderingContext2D} context @param {number} from @param {number} to */
  trace(context, from, to) {
    const start = this.at(from);
    const end = this.at(to);
    context.moveTo(start.x, start.y);
    for (let n = Math.floor(from * SEGMENTS) + 1; n < to * SEGMENTS; n += 1) {
      context.lineTo(this.#xy[2 * n], this.#xy[2 * n + 1]);
    }
    context.lineTo(end.x, end.y);
  }
}

/** @param {number[]} a @param {number[]} b */
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
