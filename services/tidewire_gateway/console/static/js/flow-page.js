/** The page *Flow*: sampled events, and where the time of one of them went. */

import { now } from '../sdk/clock.js';

import { streamsOf } from './core/channels.js';
import { amount } from './core/format.js';
import { Arrivals, Flows, isWanted } from './core/flows.js';
import { byId, el, setChildren, setText } from './dom.js';
import { FlowList } from './flow-list.js';
import { Following, explainStages } from './following.js';
import { afterPaint } from './paint.js';
import { Waterfall } from './waterfall.js';
import { Watching } from './watching.js';

/** @import {Flow} from './core/flows.js' */
/** @import {FlowRecord} from './core/records.d.ts' */
/** @import {ChannelState, Frame} from './link.js' */

const CHOSEN_MS = 5_000;
const NOTHING_YET = 'No sampled event has come yet. Producers decide with the sampled flag of their traceparent; or follow a key, which needs nothing of them.';

export class FlowPage {
  /** What the page wants to look at is another. @type {(who: string, channel: string | null) => void} */
  onLook = () => {};
  /** @type {(channel: string | null) => void} */
  onWatch = () => {};
  #flows = new Flows();
  /** Those of the key that is followed: others may be many. */
  #followed = new Flows();
  #arrivals = new Arrivals();
  /** @type {string[]} */
  #channels = [];
  /** What the list shows while it is held. @type {Flow[] | null} */
  #held = null;
  /** The one shown; it stays when it has left the list. @type {Flow | null} */
  #chosen = null;
  #isChosenByHand = false;
  /** Only what this page got is listed. */
  #isMine = false;
  /** When the page chose last (monotonic ms). */
  #chosenAt = -Infinity;
  /** Spans that wait for the next painted frame. @type {string[]} */
  #unpainted = [];
  #list = new FlowList(byId('flows'), ({ flow }) => this.#arrivals.of(flow.span));
  #waterfall = new Waterfall(byId('waterfall-body'));
  #watching = new Watching();
  #following = new Following({
    flowOf: (id) => this.#followed.get(id),
    arrivalOf: (span) => this.#arrivals.of(span),
    channels: () => this.#channels,
  });

  constructor() {
    explainStages(byId('stage-key'));
    this.#list.onSelect = (id) => this.#choose(id);
    this.#watching.onChange = (channel) => {
      this.onLook('watch', channel);
      this.onWatch(channel);
      this.#isChosenByHand = false;
    };
    this.#following.onChange = () => this.#followAnother();
    this.#waterfall.onFollow = ({ flow, event }) => this.#following.start({ stream: flow.stream, key: event.key });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#unpainted = [];
    });
    byId('flows-mine').addEventListener('click', () => this.narrow(!this.#isMine));
    byId('flows-pause').addEventListener('click', () => this.hold(this.#held === null));
  }

  /** @param {string | null} channel */
  watch(channel) {
    this.#watching.choose(channel);
  }

  /** @param {FlowRecord[]} records */
  add(records) {
    this.#flows.add(records);
    const { target } = this.#following;
    if (target) this.#followed.add(records.flatMap((record) => ofKey(record, target)));
  }

  /** A frame of a channel that the page looks at. @param {string} channel @param {Frame} frame */
  got(channel, { events, traceparent, receivedAt }) {
    const span = this.#arrivals.received(traceparent, receivedAt ?? Date.now());
    if (channel === this.#following.channel) this.#following.got(events, span);
    if (span === null) return;
    if (channel === this.#watching.channel) this.#watching.got();
    if (document.hidden) return; // nothing is painted
    this.#unpainted.push(span);
    if (this.#unpainted.length > 1) return;
    this.#following.write(); // what the frame brought is what is painted
    afterPaint(() => this.#arrivals.painted(this.#unpainted.splice(0), now()));
  }

  /** @param {string} channel @param {ChannelState} state */
  tell(channel, state) {
    if (channel === this.#watching.channel) this.#watching.told(state);
  }

  /** @param {string[]} channels most subscribers first */
  know(channels) {
    this.#watching.suggest(channels);
    if (channels.join() === this.#channels.join()) return;
    this.#channels = channels;
    setChildren(byId('known-channels'), channels.map((value) => el('option', { value })));
    const streams = streamsOf(channels);
    this.#following.suggest(streams);
    setChildren(byId('known-streams'), streams.map((value) => el('option', { value })));
  }

  /** Another node may serve this page now. */
  moved() {
    this.#following.moved();
  }

  /** Keep the list as it is, or let it go on. @param {boolean} isHeld */
  hold(isHeld) {
    this.#held = isHeld ? this.#wanted() : null;
    byId('flows-pause').setAttribute('aria-pressed', String(isHeld));
    setText(byId('flows-pause'), isHeld ? 'Go on' : 'Hold');
    this.write();
  }

  get isHeld() {
    return this.#held !== null;
  }

  /** Whether in front or not: what is followed stays followed. */
  tick() {
    this.#following.tick();
  }

  write() {
    this.#watching.write();
    const flows = this.#held ?? this.#wanted();
    this.#chooseUnasked(flows);
    this.#list.write(flows);
    byId('flows').hidden = flows.length === 0;
    byId('flows-empty').hidden = flows.length > 0;
    const { target } = this.#following;
    setText(byId('flows-empty'), this.#whyEmpty());
    setText(byId('flows-title'), target ? `Flushes with ${target.key}` : 'Sampled events');
    const kept = target ? this.#followed : this.#flows;
    setText(byId('flows-note'), kept.count > flows.length ? `the last ${amount(flows.length)} of ${amount(kept.count)}` : '');
    this.#waterfall.show(this.#chosen, this.#chosen && this.#arrivals.of(this.#chosen.flow.span), this.#looksAt());
  }

  /** Show only what this page got, or everything. @param {boolean} isMine */
  narrow(isMine) {
    this.#isMine = isMine;
    this.#held &&= this.#wanted();
    byId('flows-mine').setAttribute('aria-pressed', String(isMine));
    this.write();
  }

  get isNarrow() {
    return this.#isMine;
  }

  #wanted() {
    const { list } = this.#following.target ? this.#followed : this.#flows;
    return list.filter(({ flow }) => !this.#isMine || this.#arrivals.of(flow.span) !== null);
  }

  #whyEmpty() {
    const { target } = this.#following;
    if (this.#isMine && this.#flows.list.length > 0) return 'None of the last events came to this page: watch their channel.';
    return target ? `No flush with ${target.key} has been told yet.` : NOTHING_YET;
  }

  /** The channel whose frames this page gets, of those the chosen flow may be from. */
  #looksAt() {
    const { channel } = this.#following;
    return this.#chosen?.flow.channel === channel ? channel : this.#watching.channel;
  }

  /** @param {string} id */
  #choose(id) {
    this.#isChosenByHand = true;
    this.#chosen = this.#flows.get(id) ?? this.#followed.get(id) ?? this.#chosen;
    this.write();
  }

  /**
   * Until the operator chooses: the newest event, and rather one whose way is known to the screen; it stays long enough to be read.
   *
   * @param {Flow[]} flows
   */
  #chooseUnasked(flows) {
    if (this.#isChosenByHand || this.isHeld || this.#waterfall.isInUse) return;
    const isSeen = (/** @type {Flow | null} */ flow) => flow !== null && this.#arrivals.of(flow.flow.span)?.paintedAt != null;
    if (isSeen(this.#chosen) && performance.now() - this.#chosenAt < CHOSEN_MS) return;
    const chosen = flows.find(isSeen) ?? this.#chosen ?? flows[0] ?? null;
    if (chosen !== this.#chosen) this.#chosenAt = performance.now();
    this.#chosen = chosen;
    this.#list.selected = chosen?.id ?? null;
  }

  #followAnother() {
    const { channel, target } = this.#following;
    this.#followed = new Flows();
    if (target) this.#followed.add(this.#flows.list.filter((flow) => isWanted(flow, target)).reverse().map(({ flow, event }) => ({ ...flow, sampled: [event] })));
    this.#held = null;
    this.#chosen = null;
    this.#isChosenByHand = false;
    this.onLook('follow', channel);
    this.hold(false);
  }
}

/** A record with the events of one key only. @param {FlowRecord} record @param {{stream: string, key: string}} target @returns {FlowRecord[]} */
function ofKey(record, { stream, key }) {
  if (record.stream !== stream) return [];
  const sampled = record.sampled.filter((event) => event.key === key);
  return sampled.length === 0 ? [] : [{ ...record, sampled }];
}
