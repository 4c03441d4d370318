'use strict';
/* Elements, numbers for people, the tooltip, marks that a pointer and a keyboard reach, and the frame of a figure. */
const SVG = 'http://www.w3.org/2000/svg';

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

function svg(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
}

/* ---- numbers ---- */

const UNITS = [[1e9, 's'], [1e6, 'ms'], [1e3, '\u00b5s'], [1, 'ns']];

function digits(value, places) {
  const text = value.toFixed(places);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function duration(ns) {
  if (ns === null || ns === undefined) return '-';
  if (ns === 0) return '0';
  const size = Math.abs(ns);
  const unit = UNITS.find(u => size >= u[0]) || UNITS[3];
  const value = ns / unit[0];
  return digits(value, Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2) + '\u00a0' + unit[1];
}

function percent(share) {
  if (share === null || share === undefined) return '-';
  const value = 100 * share;
  return (value === 0 || value === 100 ? value : value < 0.01 ? '<0.01' : digits(value, value < 1 ? 2 : 1)) + '%';
}

function count(n) {
  return n === null || n === undefined ? '-' : String(n).replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

/* ---- the tooltip ---- */

const tip = document.getElementById('tip');

function showTip(x, y, title, lines) {
  tip.replaceChildren(el('b', {}, title), ...lines.map(line => el('div', {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), room = 8;
  const left = Math.min(Math.max(room, x - box.width / 2), document.documentElement.clientWidth - box.width - room);
  const above = y - box.height - 12;
  tip.style.left = left + 'px';
  tip.style.top = (above > room ? above : y + 18) + 'px';
}

function hideTip() {
  tip.hidden = true;
}

addEventListener('scroll', hideTip, { passive: true });
addEventListener('keydown', event => { if (event.key === 'Escape') hideTip(); });

/* A thing with a meaning: pointer or focus shows its tooltip, a screen reader says it. */
function mark(node, title, lines, onShow) {
  node.classList.add('mark');
  node.setAttribute('role', 'img');
  node.setAttribute('tabindex', '-1');
  node.setAttribute('aria-label', [title, ...lines].join(', '));
  const show = (x, y) => { showTip(x, y, title, lines); if (onShow) onShow(true); node.classList.add('is-on'); };
  const hide = () => { hideTip(); if (onShow) onShow(false); node.classList.remove('is-on'); };
  node.addEventListener('pointermove', event => show(event.clientX, event.clientY));
  node.addEventListener('pointerleave', hide);
  node.addEventListener('focus', () => {
    const box = node.getBoundingClientRect();
    if (node.matches(':focus-visible')) show(box.left + box.width / 2, box.top);
  });
  node.addEventListener('blur', hide);
  return node;
}

/* One stop of the tab key per drawing; arrow keys, Home and End go from mark to mark. */
function rove(drawing) {
  const marks = [...drawing.querySelectorAll('.mark')];
  if (marks.length === 0) return;
  marks[0].setAttribute('tabindex', '0');
  drawing.addEventListener('keydown', event => {
    const at = marks.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: marks.length - 1 }[event.key];
    if (at < 0 || to === undefined || !marks[to]) return;
    event.preventDefault();
    marks[at].setAttribute('tabindex', '-1');
    marks[to].setAttribute('tabindex', '0');
    marks[to].focus();
  });
}

/* ---- frames ---- */

function table(head, rows, left) {
  const cell = (tag, text, i) => el(tag, left && left.includes(i) ? { class: 'left' } : {}, text);
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'table' }, el('table', {},
    el('thead', {}, el('tr', {}, head.map((text, i) => cell('th', text, i)))),
    el('tbody', {}, rows.map(row => el('tr', {}, row.map((text, i) => cell('td', text, i)))))));
}

function legend(entries) {
  return el('ul', { class: 'legend' }, entries.map(([draw, text]) => {
    const box = svg('svg', { viewBox: '0 0 16 12', 'aria-hidden': 'true' });
    box.append(...draw());
    return el('li', {}, box, text);
  }));
}

function swatch(colour) {
  return () => [svg('rect', { x: 1, y: 1, width: 14, height: 10, rx: 2, fill: colour })];
}

function stroke(attributes) {
  return () => [svg('line', { x1: 0, x2: 16, y1: 6, y2: 6, 'stroke-width': 2, ...attributes })];
}

/* A drawing that is made anew when its width changes, so that text keeps its size on a phone. One of minWidth is
 * scrolled where there is less room, first to the share `centre` of it. */
function drawing(label, draw, minWidth, centre) {
  const holder = el('div', minWidth ? { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label } : {});
  let drawn = 0;
  const scrollToCentre = width => { if (centre !== undefined) holder.scrollLeft = centre * width - holder.clientWidth / 2; };
  const redraw = () => {
    const width = Math.max(minWidth || 0, Math.floor(holder.clientWidth));
    if (width === 0) return;
    if (width === drawn) { scrollToCentre(width); return; }
    drawn = width;
    const root = svg('svg', { role: 'group', 'aria-label': label });
    const height = draw(root, width);
    root.setAttribute('viewBox', `0 0 ${width} ${height}`);
    root.style.width = minWidth ? width + 'px' : '100%';
    root.style.height = height + 'px';
    holder.replaceChildren(root);
    rove(root);
    scrollToCentre(width);
  };
  if (minWidth) holder.addEventListener('scroll', () => holder.style.setProperty('--scrolled', holder.scrollLeft + 'px'), { passive: true });
  new ResizeObserver(redraw).observe(holder);
  return holder;
}

/* A section with a figure: { id, title, what, body: [nodes], table: { head, rows } } or, instead of body, `none`: why
 * there is nothing to draw. */
function figure(options) {
  const box = el('figure', { id: options.id, 'aria-labelledby': options.id + '-title' },
    el('figcaption', {}, el('h2', { id: options.id + '-title' }, options.title),
      el('p', { class: 'what' }, options.what)));
  if (options.none) box.append(el('p', { class: 'none' }, options.none));
  else box.append(...options.body);
  if (!options.none && options.table && options.table.rows.length > 0) {
    box.append(el('details', {}, el('summary', {}, 'The same as a table'),
      table(options.table.head, options.table.rows, options.table.left)));
  }
  return el('section', {}, box);
}

function panel(title, colour, aside, body) {
  return el('div', { class: 'panel' },
    el('h3', {}, el('span', { class: 'swatch', style: 'background:' + colour }), title, el('span', { class: 'aside' }, aside || '')), body);
}
