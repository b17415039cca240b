/** Names and places that do not change: airports and airlines of the data set. */

/**
 * @typedef {object} Reference
 * @property {string[]} origins
 * @property {Record<string, {name: string, lat: number, lon: number, tz: string}>} airports
 * @property {Record<string, string>} airlines
 * @property {[number, number][]} dots
 */

/** @returns {Promise<Reference>} */
export async function loadReference() {
  const response = await fetch(new URL('../airports.json', import.meta.url));
  if (!response.ok) throw new Error(`airports.json: HTTP ${response.status}`);
  return response.json();
}
