/** The panel of followed flights, the button that follows one, and what a screen reader hears of both. */

import { airportName, clockTime } from '../format.js';
import { motion } from '../theme.js';
import { countUnread, inOrder, isUnread } from './record.js';

/** @typedef {import('./following.js').Following} Following */

const EMPTY = 'Choose a flight on the board and follow it: its notices come here, in every tab, and those you missed.';
const FLASH = { duration: 1_400, easing: 'ease-out' };

export class YourFlights {
  /** @type {(flight: string) => void} */
  onOpen = () => {};
  /** @type {(flights: ReadonlySet<string>) => void} */
  onFollow = () => {};
  #elements;
  #following;
  #reference;
  #rowOf;
  #title = document.title;
  /** @type {string | null} */
  #selected = null;
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** When the newest notice that was written came. */
  #writtenTo = Infinity;

  /**
   * @param {Record<'panel' | 'title' | 'note' | 'empty' | 'list' | 'spoken' | 'readAll' | 'button', HTMLElement>} elements
   * @param {Following} following
   * @param {import('../reference.js').Reference} reference
   * @param {(flight: string) => Record<string, any> | undefined} rowOf what the board knows of a flight
   */
  constructor(elements, following, reference, rowOf) {
    this.#elements = elements;
    this.#following = following;
    this.#reference = reference;
    this.#rowOf = rowOf;
    elements.panel.hidden = false;
    elements.button.addEventListener('click', () => this.toggle());
    elements.readAll.addEventListener('click', () => {
      following.readGap();
      following.read(following.record.flights);
      this.focus();
    });
  }

  /** The flight that the button is about. @param {string | null} flight */
  select(flight) {
    this.#selected = flight;
    this.#writeButton();
  }

  /** Follow the chosen flight, or no longer. */
  toggle() {
    if (this.#selected) this.#following.toggle(this.#selected);
  }

  focus() {
    const first = this.#elements.list.querySelector('button') ?? this.#elements.title;
    first.focus();
  }

  /** Show what the visitor follows now. */
  write() {
    const { record } = this.#following;
    const { unread } = countUnread(record);
    document.title = unread > 0 ? `(${unread}) ${this.#title}` : this.#title;
    set(this.#elements.note, noteText(this.#following));
    set(this.#elements.empty, record.flights.length === 0 ? EMPTY : '');
    const isGapUnread = record.gapAt > record.gapReadTo;
    this.#elements.readAll.hidden = unread === 0 && !isGapUnread;
    this.#elements.panel.classList.toggle('is-troubled', isTroubled(this.#following));
    this.#writeCards();
    this.#writeButton();
    this.onFollow(new Set(record.flights));
    this.#speak();
  }

  #writeCards() {
    const { list } = this.#elements;
    const { record } = this.#following;
    const focused = document.activeElement;
    const flights = inOrder(record);
    for (const [flight, card] of this.#cards) {
      if (flights.includes(flight)) continue;
      if (card.element.contains(focused)) this.#elements.title.focus();
      card.element.remove();
      this.#cards.delete(flight);
    }
    flights.forEach((flight, place) => {
      const card = this.#card(flight);
      card.write(record.notices[flight], isUnread(record, flight), this.#rowOf(flight));
      if (list.children[place] !== card.element) list.insertBefore(card.element, list.children[place] ?? null);
    });
    if (focused instanceof HTMLElement && list.contains(focused)) focused.focus({ preventScroll: true });
  }

  /** @param {string} flight */
  #card(flight) {
    let card = this.#cards.get(flight);
    if (!card) {
      card = new Card(flight, this.#reference, {
        open: () => {
          this.#following.read([flight]);
          this.onOpen(flight);
        },
        drop: () => this.#following.toggle(flight),
      });
      this.#cards.set(flight, card);
    }
    return card;
  }

  #writeButton() {
    const { button } = this.#elements;
    const flight = this.#selected;
    button.hidden = flight === null;
    if (flight === null) return;
    const isFollowed = this.#following.isFollowed(flight);
    const word = isFollowed ? 'Unfollow' : 'Follow';
    set(button, word);
    button.setAttribute('aria-label', `${word} ${nameOf(flight)}`);
    button.setAttribute('aria-busy', String(this.#following.pending.has(flight)));
    button.classList.toggle('is-following', isFollowed);
    button.title = `${word} (F)`;
  }

  /** The newest notice is said once, when it comes; not what was there when the page opened. */
  #speak() {
    const [flight] = inOrder(this.#following.record);
    const notice = this.#following.record.notices[flight];
    const isNews = notice && notice.ts > this.#writtenTo && !notice.missed;
    if (isNews) set(this.#elements.spoken, `${nameOf(flight)}: ${notice.data.text}`);
    this.#writtenTo = notice?.ts ?? 0;
  }
}

class Card {
  element = make('li', 'card');
  #open = /** @type {HTMLButtonElement} */ (make('button', 'card-open'));
  #drop = /** @type {HTMLButtonElement} */ (make('button', 'card-drop'));
  #dot = make('span', 'card-dot');
  #way = make('span', 'card-way');
  #says = make('span', 'card-says');
  #time = make('time', 'card-time');
  #flight;
  #reference;
  /** @type {string | null} */
  #shown = null;

  /** @param {string} flight @param {import('../reference.js').Reference} reference @param {{open: () => void, drop: () => void}} does */
  constructor(flight, reference, { open, drop }) {
    this.#flight = flight;
    this.#reference = reference;
    this.element.dataset.flight = flight;
    for (const button of [this.#open, this.#drop]) button.type = 'button';
    const name = make('b', 'card-name');
    name.textContent = nameOf(flight);
    const head = make('span', 'card-head');
    head.append(this.#dot, name, this.#way);
    const news = make('span', 'card-news');
    news.append(this.#says, this.#time);
    this.#open.append(head, news);
    this.#drop.setAttribute('aria-label', `Unfollow ${nameOf(flight)}`);
    this.#drop.title = 'Unfollow';
    this.#drop.textContent = '×';
    this.#open.addEventListener('click', open);
    this.#drop.addEventListener('click', drop);
    this.element.append(this.#open, this.#drop);
  }

  /** @param {import('./record.js').Notice | undefined} notice @param {boolean} isUnread @param {Record<string, any>} [row] */
  write(notice, isUnread, row) {
    const { text, kind, sim, dest = row?.dest, sched_dep: scheduled = row?.sched_dep } = notice?.data ?? {};
    const place = airportName(this.#reference.airports[dest]?.name ?? dest ?? '');
    const [origin] = this.#flight.split('/');
    set(this.#way, place ? `${origin} → ${place}` : `from ${origin}`);
    set(this.#says, text ?? 'No news yet');
    set(this.#time, clockTime(sim ?? scheduled));
    set(this.#dot, isUnread ? (notice?.missed ? 'missed' : 'new') : '');
    this.element.dataset.status = kind ?? 'none';
    this.element.classList.toggle('is-unread', isUnread);
    this.element.classList.toggle('is-missed', isUnread && notice?.missed === true);
    const isNews = this.#shown !== null && notice !== undefined && notice.id !== this.#shown;
    if (isNews && isUnread && !motion.isReduced) {
      this.element.animate([{ backgroundColor: 'var(--flash)' }, {}], FLASH);
    }
    this.#shown = notice?.id ?? '';
  }
}

/** What is to be said beside the flights. @param {Following} following */
function noteText({ record, isLive, refusal, trouble }) {
  const { unread, missed } = countUnread(record);
  if (trouble) return trouble;
  if (refusal) return `Notices do not come: ${refusal}. Reload the page to try again.`;
  if (isLive === false) return 'Waiting for the connection: nothing is lost.';
  if (record.gapAt > record.gapReadTo) return 'Some older notices are lost: they waited for too long, or the broker began anew.';
  if (missed > 0 && missed === unread) return `${noticeCount(missed)} while you were away`;
  if (missed > 0) return `${unread} new, ${missed} while you were away`;
  return unread > 0 ? `${unread} new` : '';
}

/** @param {Following} following */
const isTroubled = ({ record, refusal, trouble }) => Boolean(trouble || refusal) || record.gapAt > record.gapReadTo;

/** @param {number} count */
const noticeCount = (count) => `${count} ${count === 1 ? 'notice' : 'notices'}`;

/** `B6 704` of `JFK/B6-704`. @param {string} flight */
const nameOf = (flight) => flight.slice(flight.indexOf('/') + 1).replace('-', ' ');

/** @param {string} tag @param {string} className */
function make(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}

/** @param {Element} element @param {string} text */
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
