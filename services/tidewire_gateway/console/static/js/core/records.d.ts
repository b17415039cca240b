/** The records of the system's own streams, as docs/observability.md writes them. */

export interface WireRecord<T> {
  key: string;
  data?: T;
}

export interface Alarm {
  name: string;
  severity: string;
  text: string;
  since_ms: number;
}

export interface SystemRecord {
  service: string;
  instance: string;
  version: string;
  at_ms: number;
  started_at_ms: number;
  every_ms: number;
  state: string;
  internal?: string;
  cpu_cores?: number | null;
  memory_bytes?: number | null;
  loop_lag_s?: number | null;
  figures: Figures;
  alarms?: Alarm[];
}

type Counts = Record<string, number>;

/** Those of every service; each has only its own. */
export interface Figures {
  connections?: { open: number; congested: number; handshaking: number };
  subscriptions?: Counts;
  feeds?: number;
  partitions?: { read: number; lag_records: number; lag_seconds: number } | number;
  rates?: { consumed: number; delivered: number; frames: number; bytes: number; coalesced: number };
  freshness?: Percentiles;
  top_feeds?: TopFeed[];
  slow?: SlowClient[];
  resumes?: Counts;
  handshakes?: Counts;
  errors?: Counts;
  closes?: Counts;
  lease?: { held: boolean; slot: number | null } | null;
  users?: number;
  nodes?: number;
  slots?: number;
  sessions?: number;
  store_up?: boolean;
  frozen?: boolean;
  lookups?: number;
  announces?: number;
  lag_records?: number;
  waiting?: number;
  registry_away?: boolean;
  messages?: Counts;
  dead_letters?: number;
  published?: Counts;
}

/** Seconds; null where nothing was flushed. */
export interface Percentiles {
  p50: number | null;
  p90: number | null;
  p99: number | null;
}

export interface TopFeed {
  channel: string;
  mode: string;
  interval_ms: number;
  subscribers: number;
  events: number;
  coalesced: number;
}

export interface SlowClient {
  connection: string;
  user: string | null;
  behind_s: number;
  queued_bytes: number;
}

export interface SampledEvent {
  trace: string;
  key: string;
  partition: number;
  offset: number;
  ts_ms: number;
  taken_at_ms: number;
  routed_at_ms?: number | null;
}

export interface FlowRecord {
  node: string;
  topic: string;
  stream: string;
  channel: string;
  mode: string;
  interval_ms: number;
  trace: string;
  span: string;
  pushed_at_ms: number;
  written_at_ms: number;
  connections: number;
  events: number;
  coalesced: number;
  sampled: SampledEvent[];
  sampled_cut: number;
}
