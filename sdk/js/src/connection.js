/** One socket: opened within a deadline, watched for silence, closed once. */

/** @typedef {new (url: string, protocols: string) => WebSocket} WebSocketClass */

/**
 * @typedef {object} Handlers none is called after the end
 * @property {() => void} onOpen
 * @property {(text: string) => void} onText
 * @property {() => void} onSteady it has been alive for half a ping interval
 * @property {(close: {code: number, reason: string}) => void} onClose its end, unless we wished it
 */

/** No frame for this many half ping intervals: dead. */
const SILENT_TICKS = 5;

export class Connection {
  #socket;
  #handlers;
  #isOver = false;
  #hasHeard = false;
  #silentTicks = 0;
  /** @type {ReturnType<typeof setTimeout>} */
  #deadline;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;

  /**
   * @param {string} url
   * @param {{WebSocket: WebSocketClass, protocol: string, timeoutMs: number}} options
   * @param {Handlers} handlers
   */
  constructor(url, { WebSocket, protocol, timeoutMs }, handlers) {
    this.#handlers = handlers;
    const socket = (this.#socket = new WebSocket(url, protocol));
    socket.onopen = () => handlers.onOpen();
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onerror = () => {}; // a close event follows, with the code
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
    this.#deadline = setTimeout(
      () => this.fail(1006, `no welcome within ${timeoutMs} ms`),
      timeoutMs,
    );
  }

  /** The peer has answered: from now on it must be heard. @param {number} pingIntervalMs */
  watch(pingIntervalMs) {
    clearTimeout(this.#deadline);
    this.#watch = setInterval(() => this.#tick(), pingIntervalMs / 2);
  }

  /** @param {string} text */
  send(text) {
    if (!this.#isOver) this.#socket.send(text);
  }

  /** End it because we are done with it. */
  close() {
    this.#release();
    this.#socket.close(1000);
  }

  /** End it as lost. @param {number} code @param {string} reason */
  fail(code, reason) {
    if (this.#isOver) return;
    const socket = /** @type {WebSocket & {terminate?: () => void}} */ (this.#socket);
    this.#ended(code, reason);
    if (socket.terminate) socket.terminate();
    else socket.close();
  }

  /** @param {unknown} data */
  #heard(data) {
    this.#hasHeard = true;
    if (this.#isOver) return;
    if (typeof data === 'string') this.#handlers.onText(data);
    else this.fail(1006, 'the server sent a binary frame');
  }

  #tick() {
    this.#silentTicks = this.#hasHeard ? 0 : this.#silentTicks + 1;
    if (this.#hasHeard) this.#handlers.onSteady();
    this.#hasHeard = false;
    if (this.#silentTicks >= SILENT_TICKS) this.fail(1006, 'nothing was heard for 2.5 ping intervals');
  }

  /** @param {number} code @param {string} reason */
  #ended(code, reason) {
    if (this.#isOver) return;
    this.#release();
    this.#handlers.onClose({ code, reason });
  }

  #release() {
    this.#isOver = true;
    clearTimeout(this.#deadline);
    clearInterval(this.#watch);
  }
}
