/** Addresses: what an application or a server writes, as a WebSocket takes it. */

/**
 * `http(s)` becomes `ws(s)`; a path is taken from `base`. Throws `TypeError` for what is no address.
 *
 * @param {string} url
 * @param {string} [base]
 */
export function socketUrl(url, base) {
  const parsed = new URL(url, base);
  parsed.protocol = parsed.protocol.replace('http', 'ws');
  parsed.hash = '';
  return parsed.href;
}

/**
 * Where a goaway sends a client of `from`: never from an encrypted address to a plain one.
 *
 * @param {string} from
 * @param {string | undefined} url
 */
export function moveTarget(from, url) {
  const target = url === undefined ? from : socketUrl(url, from);
  return from.startsWith('wss:') && !target.startsWith('wss:') ? from : target;
}
