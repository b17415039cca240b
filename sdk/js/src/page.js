/** What a browser knows about the network and its user; nothing where there is no page. */

/**
 * @typedef {object} Page what of a window is used
 * @property {(type: string, listener: () => void) => void} [addEventListener]
 * @property {(type: string, listener: () => void) => void} [removeEventListener]
 * @property {{addEventListener: Function, removeEventListener: Function, visibilityState: string}} [document]
 */

/**
 * Call `onWake` when the network is back (with true) or somebody looks at the page again (with false).
 * Returns the function that ends it.
 *
 * @param {Page} page
 * @param {(isNetwork: boolean) => void} onWake
 * @returns {() => void}
 */
export function watchPage(page, onWake) {
  const { document } = page;
  const online = () => onWake(true);
  const seen = () => void (document?.visibilityState === 'visible' && onWake(false));
  page.addEventListener?.('online', online);
  document?.addEventListener('visibilitychange', seen);
  return () => {
    page.removeEventListener?.('online', online);
    document?.removeEventListener('visibilitychange', seen);
  };
}
