// Checked by `npm run types`, never run: what an application in TypeScript may write.
import * as api from '@opentelemetry/api';
import { Tidewire, TidewireError, type Position, type Subscription } from 'tidewire';

interface Flight {
  delay: number;
}

const client = new Tidewire('wss://example.org/v1/ws', { getToken: async () => 'token' });
const flights: Subscription<Flight> = client.subscribe<Flight>('flights/JFK', { mode: 'latest', intervalMs: 250 });

const off: () => void = flights.on('update', ({ events, coalesced, position }) => {
  const delay: number = events[0].data.delay;
  const where: Position | null = position;
  console.log(delay, coalesced, where, flights.state.get('JFK/B6-704')?.data.delay);
});
off();
flights.on('error', (error: TidewireError) => console.log(error.code, error.retryAfterMs));
client.once('disconnected', ({ isPermanent, reason }) => console.log(isPermanent, reason));
new Tidewire('wss://example.org/v1/ws', { opentelemetry: api });
flights.on('update', ({ receivedAt, traceparent }) => console.log(receivedAt.toFixed(2), traceparent?.length));
flights.update({ intervalMs: 1000, paused: false });

export async function read(): Promise<void> {
  for await (const item of flights) {
    if (item.type === 'gap') console.log(item.gap, item.reason);
    else console.log(item.events[0].data.delay);
  }
}

// @ts-expect-error there is no such mode
client.subscribe('flights', { mode: 'merge' });
// @ts-expect-error there is no such event
flights.on('message', () => {});
// @ts-expect-error the view is read only
flights.state.clear();
// @ts-expect-error that is no API of OpenTelemetry
new Tidewire('wss://example.org/v1/ws', { opentelemetry: { trace: {} } });
