/** The public types of the package, and the wire as it is read. */

/** Mode `latest`: the newest value of each key, others folded away. `every`: each event once, in order per partition. */
export type Mode = 'latest' | 'every';
export type FeedState = 'live' | 'stale' | 'lagging';
export type ClientState = 'disconnected' | 'connecting' | 'connected';
export type Recovered = 'exact' | 'changes' | 'snapshot' | 'gap' | 'none';

/** Where a subscription stands. Opaque: store it, hand it back as `since`. */
export interface Position {
  readonly epoch: string;
  readonly offsets: Readonly<Record<string, number>>;
}

/** Partition → [first missing offset, next delivered offset]; empty where the server cannot say which events are missing. */
export type Gap = Record<string, [number, number]>;

export interface WireEvent<T = any> {
  key: string;
  /** Absent where `deleted`. */
  data: T;
  deleted?: true;
  /** Milliseconds since 1970. */
  ts: number;
  /** [partition, offset]; of what was pushed to `@me` the offset is -1 */
  offset: [number, number];
  /** Of events on `@me`. */
  id?: string;
}

/** One row of the keyed view. */
export interface Row<T = any> {
  data: T;
  ts: number;
  offset: [number, number];
}

export interface Snapshot<T = any> {
  type: 'snapshot';
  events: WireEvent<T>[];
  position: Position;
  /** It covers only what the node holds: the stream is not a table. */
  partial: boolean;
}

export interface Batch<T = any> {
  type: 'update';
  /** Duplicates are gone already. */
  events: WireEvent<T>[];
  /** Null until the snapshot is complete. */
  position: Position | null;
  /** Events folded away on the way here. */
  coalesced: number;
  /** Of the newest frame in it (W3C), where that is sampled. */
  traceparent?: string;
  /** When the newest frame in it arrived: Unix milliseconds, with fractions where the engine has them. */
  receivedAt: number;
}

export interface GapNotice {
  type: 'gap';
  gap: Gap;
  /** `retention`, `truncated`, `recreated`, `too_far`; `slow_consumer` from an iterator; null where the server gave none. */
  reason: string | null;
}

/** What an async iterator yields. */
export type Item<T = any> = Snapshot<T> | Batch<T> | GapNotice;

export interface SubscribeOptions {
  /** Default: the stream's own. */
  mode?: Mode;
  /** Batches at most this often; the server rounds up. */
  intervalMs?: number;
  /** Begin with the whole table (default true). */
  snapshot?: boolean;
  /** Resume from a position stored earlier. */
  since?: Position | null;
  /** Keep `state` in mode `every` too (default false); `latest` always does. */
  keepState?: boolean;
  /** Rows in `state` at most (default 100,000); beyond it the key that came first leaves. */
  maxKeys?: number;
  /** Mode `every`: events an async iterator holds back at most (default 10,000). */
  maxBuffered?: number;
}

export interface SubscriptionEvents<T = any> {
  subscribed: {
    channel: string;
    mode: Mode;
    intervalMs: number | null;
    position: Position;
    recovered: Recovered;
    /** May be absent where `recovered` is `gap`; the event `gap` comes all the same. */
    gap?: Gap;
    /** Why events are missing, or why a snapshot replaces what was asked for. */
    reason?: string;
  };
  snapshot: Snapshot<T>;
  update: Batch<T>;
  status: { state: FeedState; ageMs: number | null };
  gap: GapNotice;
  error: TidewireError;
  unsubscribed: { code: string; reason: string };
}

export interface ClientEvents {
  state: ClientState;
  connecting: { code: number | null; reason: string; attempt: number; delayMs: number };
  /** `isMove`: onto another connection, without a break. */
  connected: { connection: string; node: string; limits: Record<string, number>; isMove: boolean };
  /** `isPermanent`: refused for good; `connect()` again once the cause is gone. */
  disconnected: { code: number; reason: string; isPermanent: boolean };
  error: TidewireError;
}

/** What is used of `@opentelemetry/api`. */
export interface OpenTelemetry {
  readonly ROOT_CONTEXT: any;
  readonly trace: {
    getTracer(name: string, version?: string): any;
    setSpanContext(context: any, spanContext: any): any;
    setSpan?(context: any, span: any): any;
  };
  /** Where it is there, listeners run with the span as the active one. */
  readonly context?: { with?(context: any, call: () => void): unknown };
}

export interface ClientOptions {
  /** Called for the first token, shortly before it runs out, and when it has expired. */
  getToken?: () => Promise<string | null> | string | null;
  token?: string;
  /** Needed where there is no global one (Node 20). */
  WebSocket?: new (url: string, protocols: string) => any;
  /** `name/version` of the application. */
  client?: string;
  device?: string;
  /** Makes a span of every update that comes traced; pass `import * as api from '@opentelemetry/api'`. */
  opentelemetry?: OpenTelemetry;
  minDelayMs?: number;
  maxDelayMs?: number;
  connectTimeoutMs?: number;
  requestTimeoutMs?: number;
  /** In [0, 1), for tests. */
  random?: () => number;
  /** What stands for `window`, for tests. */
  page?: object;
}

interface Emits<Events> {
  /** Returns the function that ends it. */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void;
  once<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void;
  off<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): void;
}

export class TidewireError extends Error {
  constructor(code: string, message: string, extra?: { retryAfterMs?: number; cause?: unknown });
  /** An error code of the protocol, or `bad_frame`, `token`, `tracing`, `view_full`, `unsubscribed`. */
  code: string;
  retryAfterMs: number | undefined;
}

export interface Subscription<T = any>
  extends Emits<SubscriptionEvents<T>>,
    AsyncIterable<Item<T>> {
  readonly channel: string;
  readonly mode: Mode;
  /** As granted; null until the server answered. */
  readonly intervalMs: number | null;
  readonly phase: 'subscribing' | 'subscribed' | 'unsubscribed';
  /** `stale` as well while there is no connection. */
  readonly feedState: FeedState;
  /** Newest value of each key; always the same Map. Empty in mode `every` without `keepState`. */
  readonly state: ReadonlyMap<string, Row<T>>;
  readonly position: Position | null;
  /** Events handed to the application. */
  readonly received: number;
  /** Events the server folded away. */
  readonly coalesced: number;
  readonly duplicates: number;
  readonly frames: number;
  /** Size of its frames in UTF-16 units: bytes, where the JSON is ASCII. */
  readonly bytes: number;
  /** Change a live subscription, without a gap. A refusal comes as `error`, and the old values stay. */
  update(change: { intervalMs?: number; paused?: boolean }): void;
  unsubscribe(): void;
}

export class Tidewire implements Emits<ClientEvents> {
  constructor(url: string, options?: ClientOptions);
  readonly state: ClientState;
  readonly subscriptions: Subscription[];
  connect(): void;
  /** Subscriptions stay, and resume with the next `connect()`. */
  disconnect(): void;
  /** Disconnect, and end every subscription. */
  close(): void;
  subscribe<T = any>(channel: string, options?: SubscribeOptions): Subscription<T>;
  on<Name extends keyof ClientEvents>(name: Name, listener: (detail: ClientEvents[Name]) => void): () => void;
  once<Name extends keyof ClientEvents>(name: Name, listener: (detail: ClientEvents[Name]) => void): () => void;
  off<Name extends keyof ClientEvents>(name: Name, listener: (detail: ClientEvents[Name]) => void): void;
}

export const SUBPROTOCOL: 'tidewire.v1.json';
export const VERSION: 1;

export interface ServerMessage {
  type: string;
  id?: number;
  payload: Record<string, any>;
}
