/** Puts the console together: what comes in is kept at once, what is seen is written a few times a second. */

import { knownChannels } from './core/channels.js';
import { WORDS, ageText, bannerText, statusOf } from './core/status.js';
import { byId, explain, setText } from './dom.js';
import { FlowPage } from './flow-page.js';
import { listen } from './help.js';
import { Link } from './link.js';
import { SystemPage } from './system-page.js';
import { Tabs } from './tabs.js';

const WRITE_MS = 250;

class Console {
  #tabs = new Tabs();
  #system = new SystemPage();
  #flow = new FlowPage();
  #link;
  /** Something came that is not on the page yet. */
  #isNews = true;
  #writtenAt = 0;

  constructor() {
    const news = (/** @type {() => void} */ keep) => {
      keep();
      this.#isNews = true;
    };
    this.#link = new Link(socketUrl(), {
      onTable: (events) => news(() => this.#system.replace(events)),
      onSystem: (events) => news(() => this.#system.update(events)),
      onFlows: (records) => news(() => this.#flow.add(records)),
      onFrame: (channel, frame) => news(() => this.#flow.got(channel, frame)),
      onChannel: (channel, state) => this.#flow.tell(channel, state),
      onConnected: () => this.#flow.moved(),
      onState: () => this.#tell(),
    });
    this.#flow.onLook = (who, channel) => this.#link.look(who, channel);
    this.#flow.onWatch = (channel) => this.#tabs.watch(channel);
    this.#tabs.onChange = () => this.#open();
    byId('banner-retry').addEventListener('click', () => this.#link.retry());
    byId('skip').addEventListener('click', (event) => {
      event.preventDefault();
      byId('content').focus();
    });
    this.#listenToKeys();
    explain();
    this.#link.start();
    this.#open();
    setInterval(() => this.#write(), WRITE_MS);
  }

  /** The page that the address names. */
  #open() {
    const { page, watch } = this.#tabs.route;
    if (page === 'flow') this.#link.readFlows();
    if (watch !== null) this.#flow.watch(watch);
    this.#isNews = true;
    this.#write();
  }

  #write() {
    this.#tell();
    const now = performance.now();
    if (!this.#isNews && now - this.#writtenAt < 1000) return; // ages go on without news
    this.#isNews = false;
    this.#writtenAt = now;
    const { page } = this.#tabs.route;
    this.#tabs.tell(this.#system.write(page === 'system'));
    this.#flow.tick();
    if (page !== 'flow') return;
    this.#flow.know(knownChannels(this.#system.overview().feeds));
    this.#flow.write();
  }

  #tell() {
    const { state, refusal, feedState, feedSince, node } = this.#link;
    const { heardAt } = this.#system;
    const hasValues = Number.isFinite(heardAt);
    const status = statusOf({ state, refusal, feedState, feedSince, heardAt, hasValues });
    const banner = bannerText(status, hasValues ? Date.now() - heardAt : 0, refusal);
    document.body.dataset.state = status;
    setText(byId('link-state'), WORDS[status]);
    setText(byId('link-age'), ageText(status, performance.now() - feedSince));
    setText(byId('link-node'), node);
    setText(byId('banner-text'), banner);
    byId('banner').hidden = banner === '';
    byId('banner').dataset.kind = status;
    byId('banner-retry').hidden = status !== 'refused';
  }

  #listenToKeys() {
    listen([
      { key: 's', shows: 'S', does: 'The page System', run: () => this.#tabs.open('system') },
      { key: 'f', shows: 'F', does: 'The page Flow', run: () => this.#tabs.open('flow') },
      { key: 'l', shows: 'L', does: 'To the list of events', run: () => byId('flows').focus() },
      { key: 'h', shows: 'H', does: 'Hold the list, or let it go on', run: () => this.#flow.hold(!this.#flow.isHeld) },
      { key: 'm', shows: 'M', does: 'List only what this page got, or everything', run: () => this.#flow.narrow(!this.#flow.isNarrow) },
      { key: '', shows: '↑ ↓', does: 'Choose an event in the list' },
      { key: '', shows: '← →', does: 'Other tab, on the tabs' },
      { key: '', shows: '?', does: 'This list' },
    ]);
  }
}

function socketUrl() {
  const url = new URL('../v1/ws', document.baseURI);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

new Console();
