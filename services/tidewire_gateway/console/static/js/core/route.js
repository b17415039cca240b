/** What the page shows, kept in the address so that it survives a reload. Pure. */

export const PAGES = /** @type {const} */ (['system', 'flow']);

/** @typedef {{page: 'system' | 'flow', watch: string | null}} Route */

/** @param {string} hash @returns {Route} */
export function readRoute(hash) {
  const [name, query = ''] = hash.replace(/^#/, '').split('?');
  const page = PAGES.find((known) => known === name) ?? 'system';
  return { page, watch: new URLSearchParams(query).get('watch') || null };
}

/** @param {Route} route */
export function writeRoute({ page, watch }) {
  const query = watch === null ? '' : `?${new URLSearchParams({ watch })}`;
  return `#${page}${query}`;
}
