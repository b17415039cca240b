/** The tabs and the address: which page is in front. */

import { PAGES, readRoute, writeRoute } from './core/route.js';
import { byId } from './dom.js';

/** @import {Route} from './core/route.js' */

const TITLES = { system: 'System', flow: 'Flow' };

export class Tabs {
  /** @type {Route} */
  route = readRoute(location.hash);
  /** @type {(route: Route) => void} */
  onChange = () => {};
  #alarms = 0;

  constructor() {
    for (const page of PAGES) {
      const tab = byId(`tab-${page}`);
      tab.addEventListener('click', () => this.open(page));
      tab.addEventListener('keydown', (event) => this.#keyed(event));
    }
    addEventListener('hashchange', () => this.#readHash());
    this.#show();
  }

  /** @param {Route['page']} page */
  open(page) {
    if (page === this.route.page) return;
    this.route = { ...this.route, page };
    history.pushState(null, '', writeRoute(this.route));
    this.#show();
    this.onChange(this.route);
  }

  /** So that a tab in the background shows that there are alarms. @param {number} alarms */
  tell(alarms) {
    if (alarms === this.#alarms) return;
    this.#alarms = alarms;
    this.#title();
  }

  /** @param {string | null} watch */
  watch(watch) {
    this.route = { ...this.route, watch };
    history.replaceState(null, '', writeRoute(this.route));
  }

  #readHash() {
    if (location.hash === '#content') return; // the skip link's
    this.route = readRoute(location.hash);
    this.#show();
    this.onChange(this.route);
  }

  #show() {
    const { page } = this.route;
    for (const name of PAGES) {
      const tab = byId(`tab-${name}`);
      tab.setAttribute('aria-selected', String(name === page));
      tab.tabIndex = name === page ? 0 : -1;
      byId(`page-${name}`).hidden = name !== page; // not the address's own name, which the browser would scroll to
    }
    this.#title();
  }

  #title() {
    const told = this.#alarms > 0 ? `(${this.#alarms}) ` : '';
    document.title = `${told}${TITLES[this.route.page]} · Tidewire console`;
  }

  /** @param {KeyboardEvent} event */
  #keyed({ key }) {
    const at = PAGES.indexOf(this.route.page);
    const places = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: PAGES.length - 1 });
    if (!(key in places)) return;
    const page = PAGES[(places[key] + PAGES.length) % PAGES.length];
    this.open(page);
    byId(`tab-${page}`).focus();
  }
}
