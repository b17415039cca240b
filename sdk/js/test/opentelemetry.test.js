/** The client with OpenTelemetry itself: spans as they are exported. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, before, beforeEach, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as api from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { WebSocket } from 'ws';

import { Tidewire } from '../src/tidewire.js';
import { TestServer, event, next, within } from './server.js';
import { FakeOpenTelemetry, SPAN, TRACE, TRACEPARENT } from './telemetry.js';

/** The active context while a function runs, and not longer. */
class WhileItRuns {
  #active = api.ROOT_CONTEXT;

  active() {
    return this.#active;
  }

  with(context, call, thisArg, ...args) {
    const outer = this.#active;
    this.#active = context;
    try {
      return call.apply(thisArg, args);
    } finally {
      this.#active = outer;
    }
  }

  bind = (_context, target) => target;
  enable = () => this;
  disable = () => this;
}

const exporter = new InMemorySpanExporter();
const ms = ([seconds, nanos]) => seconds * 1e3 + nanos / 1e6;
let server;
let client;

before(() => {
  api.trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  api.context.setGlobalContextManager(new WhileItRuns());
});

beforeEach(async () => {
  exporter.reset();
  server = await TestServer.start();
});

afterEach(async () => {
  client?.close();
  await server.stop();
});

/** A subscription that the server feeds. */
async function subscribed(options) {
  client = new Tidewire(server.url, { WebSocket, page: {}, ...options });
  const flights = client.subscribe('flights/JFK', { snapshot: false });
  client.connect();
  const peer = await server.peer();
  await peer.welcome();
  await peer.grant();
  await next(flights, 'subscribed');
  return { flights, peer };
}

const updates = (offset, traceparent) => ({
  sub: 7,
  position: { epoch: 'e', offsets: { 0: offset + 1 } },
  events: [event('a', offset)],
  coalesced: 0,
  traceparent,
});

it('exports a span under that of the flush, from the arrival to the return of the listeners', async () => {
  const { flights, peer } = await subscribed({ opentelemetry: api });
  const from = Date.now();
  peer.send('updates', updates(1, TRACEPARENT));
  const update = await next(flights, 'update');
  const [span] = exporter.getFinishedSpans();
  assert.equal(span.name, 'receive flights');
  assert.equal(span.kind, api.SpanKind.CONSUMER);
  assert.equal(span.spanContext().traceId, TRACE);
  assert.deepEqual(
    [span.parentSpanContext.traceId, span.parentSpanContext.spanId, span.parentSpanContext.isRemote],
    [TRACE, SPAN, true],
  );
  assert.equal(span.attributes['messaging.destination.name'], 'flights/JFK');
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  assert.deepEqual([span.instrumentationScope.name, span.instrumentationScope.version], ['tidewire', version]);
  assert.ok(Math.abs(ms(span.startTime) - update.receivedAt) < 1e-3, 'it begins with the arrival');
  assert.ok(ms(span.endTime) >= ms(span.startTime));
  assert.ok(update.receivedAt > from - 60 && update.receivedAt < Date.now() + 60, `${update.receivedAt}`);
});

it('is the parent of spans that listeners begin', async () => {
  const { flights, peer } = await subscribed({ opentelemetry: api });
  flights.on('update', () => api.trace.getTracer('board').startSpan('draw').end());
  peer.send('updates', updates(1, TRACEPARENT));
  await next(flights, 'update');
  const [draw, receive] = exporter.getFinishedSpans();
  assert.equal(draw.name, 'draw');
  assert.equal(draw.parentSpanContext.spanId, receive.spanContext().spanId);
  assert.equal(api.trace.getActiveSpan(), undefined);
});

it('makes one span for each of several traced messages in a frame, and none for the others', async () => {
  const { flights, peer } = await subscribed({ opentelemetry: api });
  const other = `00-${'a'.repeat(32)}-${SPAN}-01`;
  const all = [updates(1, TRACEPARENT), updates(2), updates(3, other), updates(4, TRACEPARENT.slice(0, -1) + '0')];
  peer.raw(JSON.stringify(all.map((payload) => ({ v: 1, type: 'updates', payload }))));
  const arrivals = [];
  flights.on('update', ({ receivedAt }) => arrivals.push(receivedAt));
  for await (const { events } of flights) if (events.some(({ offset }) => offset[1] === 4)) break;
  assert.deepEqual(exporter.getFinishedSpans().map((span) => span.spanContext().traceId), [TRACE, 'a'.repeat(32)]);
  assert.equal(new Set(arrivals).size, 1);
});

it('makes none without the option, and tells listeners what there is to tell', async () => {
  const { flights, peer } = await subscribed();
  peer.send('updates', updates(1, TRACEPARENT));
  const { traceparent, receivedAt } = await next(flights, 'update');
  assert.equal(traceparent, TRACEPARENT);
  assert.equal(typeof receivedAt, 'number');
  assert.deepEqual(exporter.getFinishedSpans(), []);
});

it('tells a failure of the API as an error of the client, and delivers', async () => {
  const { flights, peer } = await subscribed({ opentelemetry: new FakeOpenTelemetry('startSpan') });
  const failed = next(client, 'error');
  const delivered = next(flights, 'update');
  peer.send('updates', updates(1, TRACEPARENT));
  assert.equal((await failed).code, 'tracing');
  assert.deepEqual((await delivered).events, [event('a', 1)]);
});

it('prints the span in the example of the README', async () => {
  const text = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, code] = /## Tracing.*?```js\n(.*?)```/s.exec(text);
  const program = code.replace('wss://push.example.org/v1/ws', server.url);
  assert.notEqual(program, code);
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const child = spawn(process.execPath, ['--experimental-websocket', '--input-type=module', '-e', program], { cwd });
  try {
    let printed = '';
    const told = new Promise((resolve) => {
      child.stdout.on('data', (data) => {
        printed += data;
        if (printed.includes("name: 'receive flights'")) resolve(printed);
      });
    });
    const peer = await server.peer();
    await peer.welcome();
    await peer.grant();
    peer.snapshot(7, 1);
    peer.send('updates', updates(1, TRACEPARENT));
    assert.ok((await within(told, 'the span')).includes(TRACEPARENT));
  } finally {
    child.kill();
    await within(new Promise((resolve) => (child.exitCode === null ? child.once('exit', resolve) : resolve())), 'its end');
  }
});
