/** The channels that the page looks at: one subscription each, for all who want it. */

/** @import {ChannelState, Frame} from './link.js' */

/**
 * @typedef {object} Wiring
 * @property {(channel: string) => any} subscribe the SDK's subscription
 * @property {(channel: string, state: ChannelState) => void} onChannel
 * @property {(channel: string, frame: Frame) => void} onFrame
 */

export class Looking {
  /** Subscriptions, and for whom. @type {Map<string, {subscription: any, by: Set<string>}>} */
  #looked = new Map();
  #wiring;

  /** @param {Wiring} wiring */
  constructor(wiring) {
    this.#wiring = wiring;
  }

  /**
   * `who` wants the frames of `channel`, and of no other; null for none. How the channel is now is told at once.
   *
   * @param {string} who
   * @param {string | null} channel
   */
  look(who, channel) {
    for (const [known, { by }] of this.#looked) {
      if (known !== channel && by.delete(who) && by.size === 0) this.#leave(known);
    }
    if (channel === null) return;
    const looked = this.#looked.get(channel) ?? { subscription: this.#subscribe(channel), by: new Set() };
    looked.by.add(who);
    this.#looked.set(channel, looked);
    this.#wiring.onChannel(channel, stateOf(looked.subscription));
  }

  /** @param {string} channel */
  #subscribe(channel) {
    const subscription = this.#wiring.subscribe(channel);
    const isCurrent = () => this.#looked.get(channel)?.subscription === subscription;
    const tell = (/** @type {ChannelState} */ state) => isCurrent() && this.#wiring.onChannel(channel, state);
    subscription.on('subscribed', () => tell({ state: 'live', text: '' }));
    subscription.on('status', () => tell(stateOf(subscription)));
    subscription.on('update', (/** @type {Frame} */ update) => isCurrent() && this.#wiring.onFrame(channel, update));
    subscription.on('unsubscribed', (/** @type {{code: string, reason: string}} */ { code, reason }) => {
      tell({ state: 'refused', text: reason || code });
      if (isCurrent()) this.#looked.delete(channel);
    });
    return subscription;
  }

  /** @param {string} channel */
  #leave(channel) {
    const looked = this.#looked.get(channel);
    this.#looked.delete(channel);
    looked?.subscription.unsubscribe();
  }
}

/** @param {any} subscription @returns {ChannelState} */
const stateOf = ({ phase, feedState }) => ({ state: phase === 'subscribed' ? feedState : 'waiting', text: '' });
