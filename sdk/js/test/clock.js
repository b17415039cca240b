/**
 * A clock that only the test moves. Unlike the mock timers of node:test in Node 20 it knows timers by
 * identity: sockets of an earlier test clear theirs late, and must not hit those of this one.
 */

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
};

export class Clock {
  #now = 0;
  #timers = new Set();
  #awaited = new Map();

  /** From now on timers are this clock's, until `remove`. */
  install() {
    globalThis.setTimeout = (call, delay = 0) => this.#add(call, delay, false);
    globalThis.setInterval = (call, delay) => this.#add(call, delay, true);
    globalThis.clearTimeout = (timer) => void (this.#timers.delete(timer) || real.clearTimeout(timer));
    globalThis.clearInterval = globalThis.clearTimeout;
  }

  remove() {
    Object.assign(globalThis, real);
    this.#timers.clear();
    this.#awaited.clear();
  }

  /** Move on, firing what is due in its order. */
  tick(ms) {
    const end = this.#now + ms;
    for (let due = this.#next(end); due; due = this.#next(end)) {
      this.#now = due.at;
      if (due.isRepeated) due.at += due.delay;
      else this.#timers.delete(due);
      due.call();
    }
    this.#now = end;
  }

  /** Resolves when a timer of `delay` is set from now on. */
  set(delay) {
    return new Promise((resolve) => this.#awaited.set(delay, resolve));
  }

  #next(end) {
    const due = [...this.#timers].filter(({ at }) => at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }

  #add(call, delay, isRepeated) {
    const timer = { call, delay, isRepeated, at: this.#now + delay, unref() {}, ref() {} };
    this.#timers.add(timer);
    this.#awaited.get(delay)?.();
    return timer;
  }
}
