/** Finds room for names on the map: first come, first served; no two overlap. Pure. */

/** @typedef {{text: string, x: number, y: number}} Label */
/** @typedef {{left: number, right: number, top: number, bottom: number}} Box */

const HEIGHT = 13;
const DISTANCE = 5;
const MAX_LABELS = 32;

/**
 * @param {Label[]} wanted places to name, most wanted first
 * @param {(text: string) => number} measure
 * @param {{width: number, height: number, reserved: Box[]}} room
 * @returns {Label[]} texts with the left end of their middle line
 */
export function placeLabels(wanted, measure, { width, height, reserved }) {
  /** @type {Box[]} */
  const taken = [...reserved];
  /** @type {Label[]} */
  const placed = [];
  for (const { text: name, ...place } of wanted) {
    const { text, x, y } = atEdge(name, place);
    const size = measure(text);
    const spot = [
      [x + DISTANCE, y],
      [x - DISTANCE - size, y],
      [x - size / 2, y - HEIGHT],
      [x - size / 2, y + HEIGHT],
    ].find(([left, middle]) => isFree({ left, right: left + size, top: middle - HEIGHT / 2, bottom: middle + HEIGHT / 2 }));
    if (!spot) continue;
    placed.push({ text, x: spot[0], y: spot[1] });
    taken.push({ left: spot[0], right: spot[0] + size, top: spot[1] - HEIGHT / 2, bottom: spot[1] + HEIGHT / 2 });
    if (placed.length >= MAX_LABELS) break;
  }
  return placed;

  /** A place outside of the picture is named where its direction leaves it. @param {string} text @param {{x: number, y: number}} place */
  function atEdge(text, { x, y }) {
    const isLeft = x < 0;
    if (!isLeft && x <= width && y >= 0 && y <= height) return { text, x, y };
    const inside = { x: Math.min(Math.max(x, 4), width - 4), y: Math.min(Math.max(y, HEIGHT), height - HEIGHT) };
    return { text: isLeft ? `← ${text}` : y < 0 ? `↑ ${text}` : text, ...inside };
  }

  /** @param {Box} box */
  function isFree(box) {
    const isInside = box.left > 2 && box.right < width - 2 && box.top > 2 && box.bottom < height - 2;
    return isInside && !taken.some((other) => overlaps(box, other));
  }
}

/** @param {Box} a @param {Box} b */
const overlaps = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
