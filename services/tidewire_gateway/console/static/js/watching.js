/** The form *Watch a channel*: which channel this page subscribes to, so that the way to the screen is seen. */

import { channelProblem, obviousChannel } from './core/channels.js';
import { counted } from './core/format.js';
import { byId, setText } from './dom.js';

/** @import {ChannelState} from './link.js' */

const SAYS = { waiting: 'Subscribing …', live: 'Watching', stale: 'Watching; the node waits for Kafka', lagging: 'Watching; this page is slow', refused: 'Refused' };

export class Watching {
  /** @type {string | null} */
  channel = null;
  /** The operator, or the page, chose another. @type {(channel: string | null) => void} */
  onChange = () => {};
  #input = /** @type {HTMLInputElement} */ (byId('watch-channel'));
  #stop = byId('watch-stop');
  /** Spoken when it changes; the count beside it is only seen. */
  #state = byId('watch-state');
  #count = byId('watch-count');
  /** What is wrong with what was typed last. @type {string | null} */
  #problem = null;
  /** Once somebody has chosen, nothing is chosen unasked. */
  #isChosen = false;
  #frames = 0;
  /** @type {ChannelState} */
  #told = { state: 'waiting', text: '' };

  constructor() {
    byId('watch-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#stop.addEventListener('click', () => this.choose(null));
  }

  /** @param {string | null} channel */
  choose(channel) {
    this.#isChosen = true;
    if (channel !== this.channel) this.#begin(channel);
  }

  /** With exactly one channel known, that one is meant. @param {string[]} channels */
  suggest(channels) {
    const obvious = obviousChannel(channels);
    if (!this.#isChosen && obvious !== null) this.choose(obvious);
  }

  /** @param {ChannelState} told */
  told(told) {
    this.#told = told;
    this.write();
  }

  got() {
    this.#frames += 1;
  }

  write() {
    const { state, text } = this.#told;
    const isLive = this.channel !== null && state === 'live';
    setText(this.#count, isLive ? `· ${counted(this.#frames, 'traced frame')} so far` : '');
    if (this.#problem !== null) this.#say(this.#problem, true);
    else this.#say(this.channel === null ? '' : `${SAYS[state]} ${this.channel}${text && `: ${text}`}`, state === 'refused');
  }

  /** @param {string | null} channel */
  #begin(channel) {
    this.channel = channel;
    this.#frames = 0;
    this.#told = { state: 'waiting', text: '' };
    if (channel !== null) this.#input.value = channel;
    this.#stop.hidden = channel === null;
    this.onChange(channel);
    this.write();
  }

  #submit() {
    const channel = this.#input.value.trim();
    this.#problem = channel === '' ? null : channelProblem(channel);
    this.#input.setAttribute('aria-invalid', String(this.#problem !== null));
    if (this.#problem !== null) this.write();
    else if (this.#told.state === 'refused') this.#begin(channel || null); // it may be granted now
    else this.choose(channel || null);
  }

  /** @param {string} words @param {boolean} isProblem */
  #say(words, isProblem) {
    setText(this.#state, words);
    this.#state.classList.toggle('is-problem', isProblem);
  }
}
