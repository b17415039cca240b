/** Elements, and writing to them only where something changed. */

import { HINTS } from './core/hints.js';

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
export const byId = (id) => /** @type {T} */ (document.getElementById(id));

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {{class?: string, text?: string, title?: string, hint?: string} & Record<string, string | undefined>} [options] others become attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  const { class: name, text, hint, ...attributes } = options;
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  if (hint) element.title = hintOf(hint);
  for (const [attribute, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {Node[]} children */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  element.append(...children);
  return element;
}

/** @param {Element} element @param {string} words */
export function setText(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** @param {Element} element @param {string} attribute @param {string | null} value null removes it */
export function setAttribute(element, attribute, value) {
  if (value === null) element.removeAttribute(attribute);
  else if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
}

/** Let `parent` have these children in this order; those that stay are not touched. @param {Element} parent @param {Element[]} children */
export function setChildren(parent, children) {
  for (const [n, child] of children.entries()) {
    if (parent.children[n] !== child) parent.insertBefore(child, parent.children[n] ?? null);
  }
  while (parent.children.length > children.length) parent.lastElementChild?.remove();
}

/** What a figure means, for a title. @param {string} hint */
export const hintOf = (hint) => HINTS[hint]?.[1] ?? '';

/** Titles for what the page itself has marked with `data-hint`. */
export function explain() {
  for (const element of document.querySelectorAll('[data-hint]')) {
    if (element instanceof HTMLElement) element.title = hintOf(element.dataset.hint ?? '');
  }
}
