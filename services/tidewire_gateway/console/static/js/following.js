/** The form *Follow a key*, and the line of the key's events with their times. */

import { channelOfKey } from './core/channels.js';
import { FollowRequests, KeyLine, contentOf, targetProblem } from './core/follow.js';
import { clock, milliseconds, text } from './core/format.js';
import { STAGES, journey } from './core/stages.js';
import { byId, el, setText } from './dom.js';
import { Table } from './table.js';

/** @import {Seen, Target} from './core/follow.js' */
/** @import {Arrival, Flow} from './core/flows.js' */
/** @import {StageId} from './core/stages.js' */

/** Next to the page, whatever prefix a proxy puts before the internal port. */
const URL_OF_FOLLOW = new URL('../v1/flows/follow', document.baseURI).href;
const REQUEST_TIMEOUT_MS = 5_000;
const SHOWN = /** @type {StageId[]} */ (['broker', 'wait', 'write', 'network', 'browser']);

export class Following {
  #requests = new FollowRequests();
  /** Channel that carries the key. @type {string | null} */
  channel = null;
  /** Another key is followed, or none. @type {() => void} */
  onChange = () => {};
  /** @type {KeyLine | null} */
  #line = null;
  #stream = /** @type {HTMLInputElement} */ (byId('follow-stream'));
  #key = /** @type {HTMLInputElement} */ (byId('follow-key'));
  /** What is wrong with what was typed last. @type {string | null} */
  #problem = null;
  #state = byId('follow-state');
  #stop = byId('follow-stop');
  #flowOf;
  #arrivalOf;
  #channels;
  #table;

  /**
   * @param {{flowOf: (id: string) => Flow | null, arrivalOf: (span: string) => Arrival | null, channels: () => string[]}} known
   */
  constructor({ flowOf, arrivalOf, channels }) {
    this.#flowOf = flowOf;
    this.#arrivalOf = arrivalOf;
    this.#channels = channels;
    this.#table = new Table(byId('key-events'), {
      labelledBy: 'key-line-title', idOf: (/** @type {Seen} */ { id }) => id, columns: this.#columns(), empty: 'No event of this key has come since.',
    });
    byId('follow-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#stop.addEventListener('click', () => this.end());
    addEventListener('pagehide', () => this.#leave());
  }

  /** @returns {Target | null} */
  get target() {
    return this.#requests.lease?.target ?? null;
  }

  /** What is followed already goes on as it is. @param {Target} target */
  start(target) {
    this.#problem = null;
    [this.#stream.value, this.#key.value] = [target.stream, target.key];
    if (this.#requests.want(target)) {
      this.#line = new KeyLine(target.key);
      this.channel = channelOfKey(target.stream, target.key, this.#channels());
      this.#stop.hidden = false;
      this.onChange();
    }
    this.tick();
  }

  end() {
    this.#requests.want(null);
    this.#forget();
    this.onChange();
    this.tick();
  }

  /** With one stream known, that one is meant. @param {string[]} streams */
  suggest(streams) {
    if (streams.length === 1 && this.#stream.value === '') this.#stream.value = streams[0];
  }

  /** Ask the node where it is time to. */
  tick() {
    const request = this.#requests.take(performance.now());
    if (request) this.#ask(request);
    this.write();
  }

  /** Another node may serve this page now. */
  moved() {
    this.#requests.lease?.hurry();
    this.tick();
  }

  /** @param {any[]} events of one frame @param {string | null} span */
  got(events, span) {
    this.#line?.add(events, span, Date.now());
  }

  write() {
    byId('key-line').hidden = this.#line === null;
    if (this.#line) {
      setText(byId('key-line-title'), `${this.target?.key} as this page gets it`);
      this.#table.write(this.#line.list);
    }
    const { lease } = this.#requests;
    if (this.#problem !== null) return this.#say(this.#problem, true);
    if (lease === null) return this.#say('', false);
    const where = `${lease.target.key} in ${lease.target.stream}, by way of ${this.channel}`;
    if (lease.state === 'failed') this.#say(`Not followed: ${lease.problem}`, true);
    else this.#say(lease.state === 'asking' ? `Asking the node to follow ${where} …` : `Following ${where}`, false);
  }

  #submit() {
    const target = { stream: this.#stream.value.trim(), key: this.#key.value.trim() };
    const problem = targetProblem(target);
    this.#problem = problem;
    if (problem === null) this.start(target);
    else this.write();
  }

  /** @param {{method: string, body: object}} request */
  async #ask({ method, body }) {
    const problem = await send(method, body, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS), keepalive: method === 'DELETE' });
    this.#requests.answered(performance.now(), problem);
    this.tick();
  }

  /** The page goes, and its queue with it: nodes are told at once. */
  #leave() {
    for (const target of this.#requests.leave()) send('DELETE', target, { keepalive: true });
    this.#forget();
  }

  #forget() {
    this.#line = this.channel = null;
    this.#stop.hidden = true;
  }

  /** @returns {import('./table.js').Column<Seen>[]} */
  #columns() {
    const stage = (/** @type {Seen} */ { flowId, span }, /** @type {StageId} */ id) => {
      const flow = flowId === null ? null : this.#flowOf(flowId);
      const way = flow && span !== null ? journey(flow, this.#arrivalOf(span)) : null;
      return text(milliseconds(way?.stages.find((one) => one.id === id)?.ms));
    };
    return [
      { label: 'Seen', name: 'name', text: ({ at }) => clock(at) },
      { label: 'Content', name: 'content', text: (seen) => contentOf(seen), title: (seen) => contentOf(seen, 2000) },
      ...SHOWN.map((id) => ({ label: STAGES[id].name, isNumber: true, text: (/** @type {Seen} */ seen) => stage(seen, id) })),
    ];
  }

  /** @param {string} words @param {boolean} isProblem */
  #say(words, isProblem) {
    setText(this.#state, words);
    this.#state.classList.toggle('is-problem', isProblem);
  }
}

/** What the colours of the bars stand for. @param {HTMLElement} list */
export function explainStages(list) {
  list.append(...SHOWN.map((id) => el('li', { text: STAGES[id].name, title: STAGES[id].says, 'data-stage': id })));
}

/** What went wrong, or null. @param {string} method @param {object} body @param {RequestInit} options */
async function send(method, body, options) {
  try {
    const answer = await fetch(URL_OF_FOLLOW, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), ...options });
    return answer.ok ? null : await problemOf(answer);
  } catch {
    return 'the node does not answer';
  }
}

/** What an answer says went wrong. @param {Response} answer */
async function problemOf(answer) {
  const body = await answer.json().catch(() => null);
  const said = body?.detail ?? body?.title;
  return typeof said === 'string' ? said : `the node answers ${answer.status}`;
}
