// The payloads that every server beside the gateway sends: one envelope, one event.

const HEADER = 4; // bytes in front of 126 to 65,535
const EXTENDED_LENGTH_FROM = 126;
const FRAME_MAX = 65539;

/** The payload of frame `number`, stamped `at` (CLOCK_MONOTONIC, ns), in a frame of `size` bytes. */
export function sharedPayload(number, at, size) {
  return Buffer.from(padded(`"at":${at},"pad":"`, number, size));
}

/** The same for one connection only: what stands before and after its number of seven digits. */
export function privateParts(number, at, size) {
  const whole = padded(`"at":${at},"to":"0000000","pad":"`, number, size);
  const middle = whole.indexOf('0000000","pad"');
  return [whole.slice(0, middle), whole.slice(middle + 7)];
}

function padded(data, number, size) {
  const head =
    '{"v":1,"type":"updates","payload":{"sub":1,"position":{"epoch":"bench","offsets":' +
    `{"0":${number}}},"events":[{"key":"k","data":{${data}`;
  const tail = `"},"ts":${Date.now()},"offset":[0,${number}]}],"coalesced":0}}`;
  const least = Math.max(head.length + tail.length, EXTENDED_LENGTH_FROM) + HEADER;
  if (!(size >= least && size <= FRAME_MAX)) throw new RangeError("no frame has this SIZE");
  return head + "x".repeat(size - HEADER - head.length - tail.length) + tail;
}
