/** Light or dark, as the system says or as chosen here; and whether things may move. */

const KEY = 'tidewire.theme';
const CHOICES = /** @type {const} */ (['auto', 'light', 'dark']);
const LABELS = { auto: 'as the system', light: 'light', dark: 'dark' };

const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const prefersStill = matchMedia('(prefers-reduced-motion: reduce)');

export const motion = {
  get isReduced() {
    return prefersStill.matches;
  },
};

/**
 * Let `button` step through the choices; `changed` is called whenever colours are others.
 *
 * @param {HTMLButtonElement} button
 * @param {() => void} changed
 */
export function themeSwitch(button, changed) {
  const { dataset } = document.documentElement;
  const chosen = () => /** @type {'auto' | 'light' | 'dark'} */ (dataset.themeChoice ?? 'auto');
  const apply = () => {
    const choice = chosen();
    dataset.theme = choice === 'auto' ? (prefersDark.matches ? 'dark' : 'light') : choice;
    button.setAttribute('aria-label', `Colours: ${LABELS[choice]}`);
  };
  apply();
  button.addEventListener('click', () => {
    dataset.themeChoice = CHOICES[(CHOICES.indexOf(chosen()) + 1) % CHOICES.length];
    remember(chosen());
    apply();
    changed();
  });
  prefersDark.addEventListener('change', () => {
    apply();
    changed();
  });
}

/** @param {string} theme */
function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage the choice holds for this page only.
  }
}
