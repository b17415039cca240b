/** A small typed event emitter. */

/** @template {Record<string, any>} Events */
export class Emitter {
  /** @type {Map<keyof Events, Map<Function, boolean>>} */
  #listeners = new Map();

  /**
   * Call `listener` at every `name`. Returns the function that ends it.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    return this.#add(name, listener, false);
  }

  /**
   * Call `listener` at the next `name` only. Returns the function that ends it.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   * @returns {() => void}
   */
  once(name, listener) {
    return this.#add(name, listener, true);
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   */
  off(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  /**
   * A listener that throws harms neither the others nor the connection: its error surfaces as uncaught.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} detail
   */
  _emit(name, detail) {
    for (const [listener, isOnce] of [...(this.#listeners.get(name) ?? [])]) {
      if (isOnce) this.#listeners.get(name)?.delete(listener);
      try {
        listener(detail);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /**
   * @param {keyof Events} name
   * @param {Function} listener
   * @param {boolean} isOnce
   */
  #add(name, listener, isOnce) {
    let listeners = this.#listeners.get(name);
    if (!listeners) this.#listeners.set(name, (listeners = new Map()));
    listeners.set(listener, isOnce);
    return () => void listeners.delete(listener);
  }
}
