/** Keys for the whole page, and the dialog that lists them with what the figures mean. */

import { HINTS } from './core/hints.js';
import { byId, el } from './dom.js';

/** @typedef {{key: string, shows: string, does: string, run?: () => void}} Shortcut `key` is empty where the page does not listen for it */

/** @param {Shortcut[]} shortcuts */
export function listen(shortcuts) {
  const dialog = /** @type {HTMLDialogElement} */ (byId('help'));
  for (const [term, says] of Object.values(HINTS)) byId('help-terms').append(el('dt', { text: term }), el('dd', { text: says }));
  for (const { shows, does } of shortcuts) {
    byId('help-keys').append(el('dt', {}, ...shows.split(' ').map((key) => el('kbd', { text: key }))), el('dd', { text: does }));
  }
  byId('help-open').addEventListener('click', () => dialog.showModal());
  const runs = new Map(shortcuts.flatMap(({ key, run }) => (key && run ? [[key, run]] : [])));
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open || isTyping(event.target)) return;
    if (event.key === '?') dialog.showModal();
    else runs.get(event.key.toLowerCase())?.();
  });
}

/** @param {EventTarget | null} target */
const isTyping = (target) => target instanceof HTMLElement && target.matches('input, textarea, select');
