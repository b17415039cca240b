// Node and `ws`: each frame to every client in a loop, as the library's README broadcasts.
//
// node server.mjs --port P     commands on stdin, answers on stdout: benchmarks/peers/README.md

import { once } from "node:events";
import { createInterface } from "node:readline";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import WebSocket, { WebSocketServer } from "ws";

import { privateParts, sharedPayload } from "./frames.mjs";

const UNSENT_LIMIT = 65536; // bytes that a flood lets wait in one connection

const { values } = parseArgs({ options: { port: { type: "string" } } });
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(values.port),
  backlog: 4096,
  perMessageDeflate: false,
});
let arrived = 0;
server.on("connection", (client) => {
  client.number = String(++arrived).padStart(7, "0");
  client.on("error", () => {}); // it is closed by then
});

function broadcast(data) {
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: false });
  }
}

function sendPrivate([head, tail]) {
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(head + client.number + tail);
  }
}

async function onSchedule(rate, seconds, send) {
  const frames = Math.round(rate * seconds);
  const began = process.hrtime.bigint();
  for (let number = 0; number < frames; number++) {
    const at = began + BigInt(Math.round((number * 1e9) / rate));
    for (;;) {
      const early = Number(at - process.hrtime.bigint()) / 1e6;
      if (early <= 0) break;
      await sleep(Math.ceil(early));
    }
    send(number, at);
    await turn();
  }
  return frames;
}

async function flood(frames, size) {
  let written = 0;
  for (let number = 0; number < frames; number++) {
    broadcast(sharedPayload(number, process.hrtime.bigint(), size));
    await turn();
    written += size;
    if (written >= UNSENT_LIMIT) {
      await unsentBelow(UNSENT_LIMIT);
      written = 0;
    }
  }
  await unsentBelow(1);
  return frames;
}

async function unsentBelow(limit) {
  while ([...server.clients].some((client) => client.bufferedAmount >= limit)) await sleep(1);
}

async function obey(line) {
  const [name, ...words] = line.split(" ");
  const given = words.map(Number);
  if (given.every((number) => number >= 0)) {
    if (name === "flood" && given.length === 2) return flood(...given);
    const [rate, seconds, size] = given;
    if (name === "pace" && given.length === 3 && rate > 0)
      return onSchedule(rate, seconds, (number, at) => broadcast(sharedPayload(number, at, size)));
    if (name === "private" && given.length === 3 && rate > 0)
      return onSchedule(rate, seconds, (number, at) => sendPrivate(privateParts(number, at, size)));
  }
  throw new RangeError(
    "commands: pace RATE SECONDS SIZE, flood COUNT SIZE, private RATE SECONDS SIZE",
  );
}

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

const input = createInterface({ input: process.stdin });
input.on("close", () => process.exit(0)); // also in the middle of a command
await once(server, "listening");
say({ event: "ready", url: `ws://127.0.0.1:${server.address().port}/ws`, pid: process.pid });
let last = Promise.resolve();
input.on("line", (line) => {
  last = last
    .then(() => obey(line))
    .then((frames) => say({ event: "done", frames }))
    .catch((error) => say({ event: "error", message: error.message }));
});
