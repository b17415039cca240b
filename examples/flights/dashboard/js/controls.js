/** Segmented switches made of radio buttons, so that the browser brings the keyboard along. */

/**
 * @template {string | number} Value
 * @typedef {object} Segment
 * @property {Value} value
 * @property {string} label
 * @property {string} [title]
 */

/** @template {string | number} Value */
export class Segments {
  #box;
  /** @type {Map<Value, HTMLInputElement>} */
  #inputs = new Map();
  /** @type {Map<Value, HTMLElement>} */
  #counts = new Map();
  #segments;

  /**
   * @param {HTMLElement} fieldset
   * @param {Segment<Value>[]} segments
   * @param {(value: Value) => void} changed
   */
  constructor(fieldset, segments, changed) {
    this.#segments = segments;
    this.#box = /** @type {HTMLElement} */ (fieldset.querySelector('div'));
    for (const { value, label, title } of segments) {
      const input = document.createElement('input');
      Object.assign(input, { type: 'radio', name: fieldset.id, value: String(value) });
      input.addEventListener('change', () => changed(value));
      const count = document.createElement('span');
      count.className = 'count';
      const item = document.createElement('label');
      const text = document.createElement('span');
      text.append(label, count);
      if (title) item.title = title;
      item.append(input, text);
      this.#box.append(item);
      this.#inputs.set(value, input);
      this.#counts.set(value, count);
    }
  }

  get value() {
    const checked = [...this.#inputs].find(([, input]) => input.checked);
    return checked ? checked[0] : this.#segments[0].value;
  }

  /** @param {Value} value */
  set value(value) {
    const input = this.#inputs.get(value);
    if (input) input.checked = true;
  }

  /** The next or previous value, without running around. @param {number} by */
  step(by) {
    const values = this.#segments.map(({ value }) => value);
    const next = values[Math.min(Math.max(values.indexOf(this.value) + by, 0), values.length - 1)];
    return next;
  }

  /** @param {Value} value @param {number} count */
  setCount(value, count) {
    const element = this.#counts.get(value);
    const text = String(count);
    if (element && element.textContent !== text) element.textContent = text;
  }
}
