/** One event's way from record to screen, drawn stage by stage, and what is known of its flush. */

import { amount, clock, counted, milliseconds, percent, text } from './core/format.js';
import { STAGES, journey, scaleOf, whyUnknown } from './core/stages.js';
import { el } from './dom.js';

/** @import {Arrival, Flow} from './core/flows.js' */
/** @import {Journey, Stage} from './core/stages.js' */

const COPIED_MS = 1_500;

export class Waterfall {
  /** The operator wants to follow the key of what is shown. @type {(flow: Flow) => void} */
  onFollow = () => {};
  #place;
  #shown = '';

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
    this.show(null, null, null);
  }

  /** Whether the keyboard is in it: what it shows should stay. */
  get isInUse() {
    return this.#place.contains(document.activeElement);
  }

  /** @param {Flow | null} flow @param {Arrival | null} arrival @param {string | null} watched the channel this page watches */
  show(flow, arrival, watched) {
    const shown = flow === null ? 'none' : JSON.stringify([flow.id, arrival, watched]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    if (flow === null) this.#place.replaceChildren(...stagesToCome());
    else this.#place.replaceChildren(...this.#draw(flow, arrival, watched));
  }

  /** @param {Flow} flow @param {Arrival | null} arrival @param {string | null} watched */
  #draw(flow, arrival, watched) {
    const way = journey(flow, arrival);
    return [this.#headOf(flow, way), barsOf(way, { isWatched: flow.flow.channel === watched, hasArrived: arrival !== null }), ...notesOf(way), factsOf(flow)];
  }

  /** @param {Flow} flow @param {Journey} way */
  #headOf(flow, { totalMs, isComplete }) {
    const { event, flow: push } = flow;
    const [value, unit] = milliseconds(totalMs);
    const follow = el('button', { type: 'button', class: 'button small', text: 'Follow this key' });
    follow.addEventListener('click', () => this.onFollow(flow));
    return el('div', { class: 'way-head' },
      el('div', { class: 'way-key' }, el('b', { text: event.key }), el('span', { text: `${push.channel} · record of ${clock(event.ts_ms)}` }), follow),
      el('p', { class: 'way-total' }, el('b', { text: value }), el('span', { text: unit }), el('small', { text: isComplete ? 'record to screen' : 'record to socket' })));
  }
}

/** @typedef {{isWatched: boolean, hasArrived: boolean}} OfPage */

/** @param {Journey} way @param {OfPage} page */
function barsOf({ stages, totalMs }, page) {
  const { marks, end } = scaleOf(totalMs);
  const list = el('ol', { class: 'way', 'aria-label': 'Stages' }, ...stages.map((stage) => barOf(stage, end, totalMs, page)));
  const scale = el('div', { class: 'way-scale', 'aria-hidden': 'true' }, ...marks.map((mark) => {
    const label = el('span', { text: text(milliseconds(mark)) });
    label.style.left = `${(100 * mark) / end}%`;
    return label;
  }));
  return el('div', { class: 'way-frame' }, list, scale);
}

/** @param {Stage} stage @param {number} end @param {number} totalMs @param {OfPage} page */
function barOf({ id, name, startMs, ms, isSkewed }, end, totalMs, page) {
  const bar = el('span', { class: 'way-bar', 'aria-hidden': 'true' });
  const track = el('span', { class: 'way-track', 'aria-hidden': 'true' }, bar);
  bar.style.left = `${(100 * startMs) / end}%`;
  bar.style.width = `${(100 * (ms ?? 0)) / end}%`;
  const time = ms === null ? whyUnknown(id, page) : text(milliseconds(ms)) + (isSkewed ? ' *' : '');
  const share = ms === null || totalMs === 0 ? '' : text(percent(ms / totalMs));
  const item = el('li', { title: STAGES[id].says, 'data-stage': id },
    el('span', { class: 'way-name', text: name }), track, el('span', { class: 'way-time', text: time }), el('span', { class: 'way-share', text: share }));
  if (ms === null) item.dataset.unknown = '';
  else item.dataset.ms = String(ms);
  return item;
}

/** @param {Journey} way */
const notesOf = ({ isSkewed }) =>
  isSkewed ? [el('p', { class: 'way-note', text: '* Counts as 0: the clocks of the two machines contradict each other by more than the stage took.' })] : [];

/** @param {Flow} flow */
function factsOf({ flow, event }) {
  const fold = flow.coalesced === 0 ? 'none folded' : `${amount(flow.coalesced)} folded away`;
  const interval = flow.interval_ms === 0 ? 'at once' : `every ${text(milliseconds(flow.interval_ms))}`;
  /** @type {[string, string | Node][]} */
  const facts = [
    ['Frame', `${counted(flow.events, 'event')}, ${fold}`],
    ['Sent to', counted(flow.connections, 'connection')],
    ['Feed', `${flow.channel}, ${flow.mode}, ${interval}`],
    ['Node', flow.node],
    ['Record', event.offset < 0 ? flow.topic : `${flow.topic}, partition ${event.partition}, offset ${event.offset}`],
    ['Trace', copyable(event.trace, 'trace id')],
    ['Push span', copyable(flow.span, 'span id')],
  ];
  if (flow.trace !== event.trace) facts.splice(6, 0, ['Trace of the frame', copyable(flow.trace, 'trace id of the frame')]);
  if (flow.sampled.length + flow.sampled_cut > 1) {
    facts.push(['In this flush', `${counted(flow.sampled.length + flow.sampled_cut, 'sampled event')}${flow.sampled_cut > 0 ? `, ${amount(flow.sampled_cut)} of them not listed` : ''}`]);
  }
  return el('dl', { class: 'facts' }, ...facts.map(([label, value]) => el('div', {}, el('dt', { text: label }), el('dd', {}, value))));
}

/** What will be seen here. */
function stagesToCome() {
  const stages = Object.entries(STAGES).filter(([id]) => id !== 'router');
  return [
    el('p', { class: 'empty', text: 'An event that you choose in the list is drawn here, stage by stage:' }),
    el('dl', { class: 'to-come' }, ...stages.map(([id, { name, says }]) => el('div', { 'data-stage': id }, el('dt', { text: name }), el('dd', { text: says })))),
  ];
}

/** An id with a button that copies it. @param {string} id @param {string} what */
function copyable(id, what) {
  const button = el('button', { type: 'button', class: 'button small copy', text: 'Copy', 'aria-label': `Copy the ${what}` });
  const code = el('code', { text: id });
  button.addEventListener('click', async () => {
    const isCopied = await copied(id);
    if (!isCopied) getSelection()?.selectAllChildren(code);
    button.textContent = isCopied ? 'Copied' : 'Selected';
    setTimeout(() => (button.textContent = 'Copy'), COPIED_MS);
  });
  return el('span', { class: 'id' }, code, button);
}

/** Whether the text is on the clipboard now; a page without a secure origin has none. @param {string} words */
async function copied(words) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    return false;
  }
}
