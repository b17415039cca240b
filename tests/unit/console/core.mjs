/** Where the console's modules are, and the records that the tests feed them. */

const SCRIPTS = new URL('../../../services/tidewire_gateway/console/static/js/', import.meta.url);

/** One that needs a page or a connection only when it is used. @param {string} name */
export const script = (name) => import(new URL(name, SCRIPTS).href);
/** A pure one. @param {string} name */
export const core = (name) => script(`core/${name}`);

export const START = 1_764_460_800_000;

/** A record of `tidewire.system`, as its stream hands it on. */
export function processRecord(instance, changes = {}) {
  const service = changes.service ?? 'gateway';
  const data = {
    service, instance, version: '0.5.0', at_ms: START, started_at_ms: START - 800_000, every_ms: 2000,
    state: 'ready', internal: 'http://127.0.0.1:9001', cpu_cores: 0.3, memory_bytes: 91e6, loop_lag_s: 0.002,
    figures: {}, alarms: [], ...changes,
  };
  return { key: `${service}/${instance}`, data };
}

/** A record of `tidewire.flows` with one sampled event. */
export function flowRecord(changes = {}, event = {}) {
  return {
    node: 'node-1', topic: 'flights', stream: 'flights', channel: 'flights/JFK', mode: 'latest', interval_ms: 250,
    trace: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7',
    pushed_at_ms: START + 250.5, written_at_ms: START + 251, connections: 12, events: 40, coalesced: 7,
    sampled: [{
      trace: '4bf92f3577b34da6a3ce929d0e0e4736', key: 'JFK/B6-704', partition: 3, offset: 1042,
      ts_ms: START, taken_at_ms: START + 4.5, ...event,
    }],
    sampled_cut: 0, ...changes,
  };
}
