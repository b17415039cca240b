/** The page *Flow*: sampled events, and where the time of one of them went. */

import { now } from '../sdk/clock.js';

import { streamsOf } from './core/channels.js';
import { amount } from './core/format.js';
import { Arrivals, Flows, eventId, isWanted, sampledEvents } from './core/flows.js';
import { byId, el, setChildren, setText } from './dom.js';
import { FlowList } from './flow-list.js';
import { Following, explainStages } from './following.js';
import { afterPaint } from './paint.js';
import { Waterfall } from './waterfall.js';
import { Watching } from './watching.js';
import { Ways } from './ways.js';

/** @import {Flow, Sampled} from './core/flows.js' */
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
  /** What the list shows. @type {Sampled[]} */
  #events = [];
  /** The one drawn; it stays when it has left the list. @type {Flow | null} */
  #chosen = null;
  #isChosenByHand = false;
  #isWayChosen = false;
  /** Only what this page got is listed. */
  #isMine = false;
  /** When the page chose last (monotonic ms). */
  #chosenAt = -Infinity;
  /** Spans that wait for the next painted frame. @type {string[]} */
  #unpainted = [];
  #list = new FlowList(byId('flows'), ({ flow }) => this.#arrivals.of(flow.span));
  #waterfall = new Waterfall(byId('waterfall-body'));
  #ways = new Ways(byId('ways-label'), byId('ways'));
  #watching = new Watching();
  #following = new Following({
    flowOf: (id) => this.#followed.get(id),
    arrivalOf: (span) => this.#arrivals.of(span),
    channels: () => this.#channels,
  });

  constructor() {
    explainStages(byId('stage-key'));
    this.#list.onSelect = (id) => this.#choose(this.#events.find((event) => event.id === id)?.shown ?? this.#chosen, false);
    this.#ways.onChoose = (flow) => this.#choose(flow, true);
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
    const events = sampledEvents(this.#held ?? this.#wanted(), this.#isSeen);
    this.#events = events;
    this.#chooseUnasked(events);
    this.#list.write(events);
    byId('flows').hidden = events.length === 0;
    byId('flows-empty').hidden = events.length > 0;
    const { target } = this.#following;
    setText(byId('flows-empty'), this.#whyEmpty());
    setText(byId('flows-title'), target ? `Flushes with ${target.key}` : 'Sampled events');
    const kept = target ? this.#followed : this.#flows;
    setText(byId('flows-note'), kept.count > events.length ? `the last ${amount(events.length)} of ${amount(kept.count)}` : '');
    this.#ways.show(this.#chosen ? kept.waysOf(this.#chosen) : [], this.#chosen, this.#isSeen);
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
    return list.filter((flow) => !this.#isMine || this.#isSeen(flow));
  }

  /** Whether this page got its frame. @param {Flow} flow */
  #isSeen = ({ flow }) => this.#arrivals.of(flow.span) !== null;

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

  /** @param {Flow | null} flow @param {boolean} isWay whether it was chosen among the ways of its event */
  #choose(flow, isWay) {
    this.#isChosenByHand = true;
    this.#isWayChosen = isWay;
    this.#chosen = flow;
    this.write();
  }

  /**
   * Until the operator chooses: the newest event, and rather one whose way is known to the screen; it stays long enough to be read.
   *
   * @param {Sampled[]} events
   */
  #chooseUnasked(events) {
    if (this.#isChosenByHand) return this.#turnToSeen(events);
    if (this.isHeld || this.#waterfall.isInUse || this.#ways.isInUse) return;
    const isPainted = (/** @type {Flow | null} */ flow) => flow !== null && this.#arrivals.of(flow.flow.span)?.paintedAt != null;
    if (isPainted(this.#chosen) && performance.now() - this.#chosenAt < CHOSEN_MS) return;
    const chosen = events.find(({ shown }) => isPainted(shown))?.shown ?? this.#chosen ?? events[0]?.shown ?? null;
    if (chosen !== this.#chosen) this.#chosenAt = performance.now();
    this.#chosen = chosen;
    this.#list.selected = chosen && eventId(chosen);
  }

  /** An event that was chosen before this page got it: its way is known to the screen now. @param {Sampled[]} events */
  #turnToSeen(events) {
    const chosen = this.#chosen;
    if (chosen === null || this.#isWayChosen || this.#isSeen(chosen)) return;
    const shown = events.find(({ id }) => id === eventId(chosen))?.shown;
    if (shown && this.#isSeen(shown)) this.#chosen = shown;
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
