/** Keys for the whole page, and the dialog that lists them. */

/** @typedef {{keys: string[], shows: string, does: string, run?: () => void}} Shortcut */

/** @param {Shortcut[]} shortcuts @param {{dialog: HTMLDialogElement, list: HTMLElement, opener: HTMLElement}} help */
export function listen(shortcuts, { dialog, list, opener }) {
  for (const { shows, does } of shortcuts) {
    const term = document.createElement('dt');
    for (const key of shows.split(' ')) {
      const element = document.createElement('kbd');
      element.textContent = key;
      term.append(element);
    }
    const meaning = document.createElement('dd');
    meaning.textContent = does;
    list.append(term, meaning);
  }
  opener.addEventListener('click', () => dialog.showModal());
  const runs = new Map(shortcuts.flatMap(({ keys, run }) => keys.map((key) => [key, run])));
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open || isTyping(event.target)) return;
    if (event.key === '?') {
      dialog.showModal();
      return;
    }
    runs.get(event.key)?.();
  });
}

/** @param {EventTarget | null} target */
const isTyping = (target) =>
  target instanceof HTMLElement && target.matches('input:not([type=radio]), textarea, select, [contenteditable]');
