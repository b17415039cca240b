/** The client: keeps one connection alive, moves it, and carries the subscriptions across. */

import { moveTarget, socketUrl } from './address.js';
import { backoffMs, moveAfterMs } from './backoff.js';
import { TOKEN_EXPIRED, isPermanent } from './codes.js';
import { Emitter } from './emitter.js';
import { TidewireError } from './errors.js';
import { watchPage } from './page.js';
import { Session } from './session.js';
import { Subscription } from './subscription.js';
import { Tokens } from './tokens.js';
import { Tracing } from './tracing.js';

/** @import {Tidewire as Api, ClientEvents, ClientOptions, ClientState, SubscribeOptions} from './types.d.ts' */
/** @import {WebSocketClass} from './connection.js' */

/** Of this package. */
const VERSION = '0.2.0';

const DEFAULTS = {
  client: `tidewire-js/${VERSION}`,
  minDelayMs: 500,
  maxDelayMs: 20_000,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  random: Math.random,
};

/** @typedef {{code: number, reason: string}} Close */

/** @extends {Emitter<ClientEvents>} @implements {Api} */
export class Tidewire extends Emitter {
  #url;
  #options;
  #tokens;
  #tracing;
  /** @type {ClientState} */
  #state = 'disconnected';
  /** The session in use. @type {Session | null} */
  #current = null;
  /** The session that is to be used, until it is ready. @type {Session | null} */
  #next = null;
  /** Counts openings; what belongs to an earlier one is void. */
  #turn = 0;
  /** Attempts since a connection last proved steady. */
  #attempt = 0;
  /** @type {number | undefined} */
  #retryAfterMs;
  /** The next attempt, or the move a goaway asked for. @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isTimerSet = false;
  /** @type {Set<Subscription>} */
  #subscriptions = new Set();
  #unwatch = () => {};

  /**
   * @param {string} url `ws(s)://…`, `http(s)://…`, or in a page a path such as `/v1/ws`
   * @param {ClientOptions} [options]
   */
  constructor(url, options = {}) {
    super();
    const WebSocket = /** @type {WebSocketClass} */ (options.WebSocket ?? globalThis.WebSocket);
    if (!WebSocket) {
      throw new TypeError('no WebSocket here: pass one, new Tidewire(url, {WebSocket})');
    }
    this.#url = socketUrl(url, globalThis.location?.href);
    this.#options = { ...DEFAULTS, ...options, WebSocket };
    this.#tokens = new Tokens(options.token, options.getToken, this.#options.connectTimeoutMs);
    const { opentelemetry } = options;
    this.#tracing = opentelemetry && new Tracing(opentelemetry, VERSION, (error) => this._emit('error', error));
  }

  get state() {
    return this.#state;
  }

  get subscriptions() {
    return [...this.#subscriptions];
  }

  connect() {
    if (this.#state !== 'disconnected') return;
    this.#attempt = 0;
    this.#unwatch = watchPage(this.#options.page ?? globalThis, (isNetwork) => this.#wake(isNetwork));
    this.#connecting({ code: null, reason: 'the application connects' }, 0);
    this.#open(this.#url);
  }

  disconnect() {
    this.#stop({ code: 1000, reason: 'the application disconnected' }, false);
  }

  close() {
    this.disconnect();
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }

  /**
   * @param {string} channel
   * @param {SubscribeOptions} [options]
   */
  subscribe(channel, options = {}) {
    const subscription = new Subscription(channel, options, {
      change: (changed) => this.#newest?.reconcile(changed),
      drop: (dropped) => this.#drop(dropped),
      tracing: this.#tracing,
    });
    this.#subscriptions.add(subscription);
    this.#newest?.reconcile(subscription);
    return subscription;
  }

  /** The session that new requests go to. */
  get #newest() {
    return this.#next?.welcome ? this.#next : this.#current;
  }

  /** @param {string} url */
  async #open(url) {
    if (this.#state === 'disconnected') return;
    clearTimeout(this.#timer);
    this.#isTimerSet = false;
    const turn = ++this.#turn;
    const { client, device } = this.#options;
    try {
      const token = (await this.#tokens.get()) ?? undefined;
      if (turn !== this.#turn) return;
      const options = { ...this.#options, generation: turn };
      this.#next = new Session(url, { token, client, device }, options, this.#host);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#failedToOpen(/** @type {Error} */ (error));
    }
  }

  /** @param {Error} error */
  #failedToOpen(error) {
    if (error instanceof TidewireError) {
      this.#retry({ code: 1006, reason: error.message });
      this._emit('error', error);
    } else {
      // The engine refuses the address itself, as a secure page does with ws://.
      this.#stop({ code: 1006, reason: error.message }, true);
    }
  }

  /** @type {import('./session.js').SessionHost} */
  #host = {
    onWelcome: (session) => this.#welcomed(session),
    onSteady: (session) => this.#steady(session),
    onAnswered: (session) => void (session === this.#next && this.#promote(session)),
    onGoaway: (session, goaway) => {
      session.goaway = goaway;
      this.#goaway(session, goaway);
    },
    onError: (_session, error) => {
      this.#retryAfterMs = error.retryAfterMs;
      this._emit('error', error);
    },
    onClose: (session, close) => this.#closed(session, close),
  };

  /** @param {Session} session */
  #steady(session) {
    if (session !== this.#current) return;
    this.#attempt = 0;
    this.#retryAfterMs = undefined;
  }

  /** @param {Session} session */
  #welcomed(session) {
    if (session !== this.#next) return;
    this.#retryAfterMs = undefined;
    if (!this.#current) this.#promote(session);
    for (const subscription of this.subscriptions) session.reconcile(subscription);
    if (session === this.#next && session.isAnswered) this.#promote(session);
  }

  /** From now on `session` is the connection. @param {Session} session */
  #promote(session) {
    const old = this.#current;
    this.#current = session;
    this.#next = null;
    old?.close();
    if (old) this.#lose(old);
    if (this.#current !== session) return; // a listener disconnected
    const { connection, node, expires_in_ms: expiresInMs, limits } = session.welcome ?? {};
    this.#tokens.schedule(expiresInMs, () => this.#renew());
    this.#setState('connected');
    this._emit('connected', { connection, node, limits, isMove: old !== null });
    if (session === this.#current && session.goaway) this.#goaway(session, session.goaway);
  }

  /** @param {Session} session @param {Close} close */
  #closed(session, close) {
    if (session === this.#next) this.#nextClosed(session, close);
    else if (session === this.#current) this.#currentClosed(session, close);
  }

  /** @param {Session} session @param {Close} close */
  #nextClosed(session, close) {
    this.#next = null;
    if (close.code === TOKEN_EXPIRED) this.#tokens.forget();
    if (!this.#current) return this.#lost(close);
    // What already listened there has heard nothing of the old connection since: resume it all.
    if (session.hasTakenOver) {
      const old = this.#current;
      old.close();
      this.#currentClosed(old, close);
    } else if (!isPermanent(close.code)) this.#retry(close);
    // Otherwise the move is given up: the connection stays until the server ends it.
  }

  /** @param {Session} session @param {Close} close */
  #currentClosed(session, close) {
    this.#current = null;
    this.#lose(session);
    if (this.#state === 'disconnected') return; // a listener disconnected
    if (close.code === TOKEN_EXPIRED) this.#tokens.forget();
    if (this.#next?.welcome) this.#promote(this.#next);
    else if (this.#next) this.#connecting(close, 0);
    else this.#lost(close);
  }

  /** @param {Close} close */
  #lost(close) {
    const isFinal = isPermanent(close.code) || (close.code === TOKEN_EXPIRED && !this.#tokens.canFetch);
    if (isFinal) return this.#stop(close, true);
    this.#retry(close);
  }

  /** Try again after a while, beside a connection that still lives or for want of one. @param {Close} close */
  #retry(close) {
    const { random } = this.#options;
    const delayMs = backoffMs(this.#attempt, random(), this.#options, this.#retryAfterMs);
    this.#attempt += 1;
    this.#retryAfterMs = undefined;
    this.#openAfter(delayMs, this.#url);
    if (!this.#current) this.#connecting(close, delayMs);
  }

  /** @param {{code: number | null, reason: string}} why @param {number} delayMs */
  #connecting({ code, reason }, delayMs) {
    this.#setState('connecting');
    this._emit('connecting', { code, reason, attempt: this.#attempt, delayMs });
  }

  /** @param {number} delayMs @param {string} url */
  #openAfter(delayMs, url) {
    this.#turn += 1; // an opening that still waits for its token is void
    clearTimeout(this.#timer);
    this.#isTimerSet = true;
    this.#timer = setTimeout(() => this.#open(url), delayMs);
  }

  /** @param {Session} session @param {Record<string, any>} goaway */
  #goaway(session, { after_ms: afterMs = 0, url }) {
    if (session !== this.#current || this.#next || this.#isTimerSet) return;
    const { random } = this.#options;
    // Sent away again before it proved steady: the fleet is in motion, so do not run in circles.
    const pause = this.#attempt > 0 ? backoffMs(this.#attempt, random(), this.#options) : 0;
    this.#attempt += 1;
    this.#openAfter(moveAfterMs(random(), afterMs) + pause, moveTarget(this.#url, url));
  }

  /** Somebody looks, or the network is back. @param {boolean} isNetwork */
  #wake(isNetwork) {
    if (this.#next) return;
    if (this.#current ? isNetwork : this.#isTimerSet) this.#open(this.#url);
  }

  /** Fetch a token and show it on the live connection. */
  async #renew() {
    this.#tokens.forget();
    const session = this.#current;
    if (!session) return;
    try {
      const token = await this.#tokens.get();
      if (session !== this.#current || !token) return;
      session.request('refresh', { token }, (error, { expires_in_ms: expiresInMs }) => {
        if (error) this._emit('error', error);
        else this.#tokens.schedule(expiresInMs, () => this.#renew());
      });
    } catch (error) {
      this._emit('error', /** @type {TidewireError} */ (error));
      if (session !== this.#current) return;
      // Short of the end the server closes with 3005, and the way back fetches a token too.
      this.#tokens.schedule(this.#options.maxDelayMs, () => this.#renew());
    }
  }

  /** @param {Close} close @param {boolean} isPermanent */
  #stop({ code, reason }, isPermanent) {
    if (this.#state === 'disconnected') return;
    this.#state = 'disconnected';
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#isTimerSet = false;
    this.#tokens.stop();
    if (isPermanent) this.#tokens.forget();
    this.#unwatch();
    for (const session of [this.#current, this.#next]) {
      session?.close();
      if (session) this.#lose(session);
    }
    this.#current = this.#next = null;
    this._emit('state', 'disconnected');
    this._emit('disconnected', { code, reason, isPermanent });
  }

  /** @param {Session} session that feeds nobody any more */
  #lose(session) {
    for (const subscription of this.subscriptions) {
      if (subscription._source === session) subscription._lost();
    }
  }

  /** @param {Subscription} subscription */
  #drop(subscription) {
    this.#subscriptions.delete(subscription);
    this.#current?.detach(subscription);
    this.#next?.detach(subscription);
  }

  /** @param {ClientState} state */
  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this._emit('state', state);
  }
}
