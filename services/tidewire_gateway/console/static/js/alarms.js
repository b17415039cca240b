/** The alarms: prominent where there are any, one calm line where there are none, spoken when they change. */

import { counted, seconds, text, words } from './core/format.js';
import { el, setAttribute, setChildren, setText } from './dom.js';

/** @import {Warning} from './core/fleet.js' */

const ICONS = /** @type {Record<string, string>} */ ({ critical: '!', error: '!', warning: '!', info: 'i' });

export class Alarms {
  #elements;
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();
  #spoken = '';

  /** @param {Record<'panel' | 'calm' | 'list' | 'spoken', HTMLElement>} elements */
  constructor(elements) {
    this.#elements = elements;
  }

  /** @param {Warning[]} alarms worst first @param {string} wellness what to say where there are none @param {number} now Unix ms */
  write(alarms, wellness, now) {
    const { panel, calm, list } = this.#elements;
    setAttribute(panel, 'data-worst', alarms[0]?.severity ?? 'none');
    calm.hidden = alarms.length > 0;
    setText(calm, wellness);
    const before = this.#items;
    this.#items = new Map();
    for (const alarm of alarms) {
      const id = `${alarm.process} ${alarm.name}`;
      const item = before.get(id) ?? newItem();
      this.#items.set(id, item);
      fill(item, alarm, now);
    }
    setChildren(list, [...this.#items.values()]);
    this.#speak(alarms);
  }

  /** Only which alarms there are is spoken, not how long they have been. @param {Warning[]} alarms */
  #speak(alarms) {
    const all = alarms.map(({ process, name, severity }) => `${severity}: ${words(name)} on ${process}`).join('. ');
    if (all === this.#spoken) return;
    this.#spoken = all;
    setText(this.#elements.spoken, alarms.length === 0 ? 'No alarms' : `${counted(alarms.length, 'alarm')}. ${all}`);
  }
}

const newItem = () =>
  el('li', {}, el('span', { class: 'alarm-icon', 'aria-hidden': 'true' }), el('b', { class: 'alarm-severity' }), el('span', { class: 'alarm-name' }),
    el('span', { class: 'alarm-text' }), el('span', { class: 'alarm-where' }));

/** @param {HTMLElement} item @param {Warning} alarm @param {number} now */
function fill(item, { severity, name, text: says, process, sinceMs }, now) {
  setAttribute(item, 'data-severity', severity);
  const since = `for ${text(seconds(Math.max(0, Math.floor((now - sinceMs) / 1e3))))}`;
  for (const [n, line] of [ICONS[severity] ?? '!', severity, words(name), says, `${process} · ${since}`].entries()) setText(item.children[n], line);
}
