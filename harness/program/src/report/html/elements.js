// What all pages are made of.

// What is in the page, as base64 of gzip of JSON.
async function unpacked(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (character) => character.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).json();
}
const ORDER = ['environment-error', 'timeout', 'fail', 'blocked', 'skipped', 'known-deviation', 'unsupported', 'pass'];
const BAD = new Set(['environment-error', 'timeout', 'fail', 'blocked']);

// Elements are built, never parsed from text: whatever a server logged stays text.
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}
const badge = (verdict, count) => el('span', { class: `v ${verdict}` }, count === undefined ? verdict : `${count} ${verdict}`);
const count = (list, key) => list.reduce((all, item) => all.set(key(item), (all.get(key(item)) || 0) + 1), new Map());
const worstFirst = (a, b) => ORDER.indexOf(a) - ORDER.indexOf(b);

function block(title, text) {
  const copy = async (event) => {
    await navigator.clipboard.writeText(text);
    event.target.textContent = 'copied';
  };
  return [el('h3', {}, title), el('div', { class: 'block' }, el('pre', { tabindex: '0', 'aria-label': title }, text),
    el('button', { class: 'copy', type: 'button', onclick: copy, 'aria-label': `copy ${title}` }, 'copy'))];
}

// A time and a duration as people write them.
const moment = (time) => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
const duration = (ms) => (ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`);

// The clients of a run, with their versions where there is room.
function programs(all) {
  const each = Object.entries(all || {});
  const text = ([name, about]) => `${name}: ${about}`;
  return each.length < 2 ? each.map(text).join('') : el('details', {}, el('summary', {}, each.map(([name]) => name).join(', ')), each.map((one) => el('div', {}, text(one))));
}

const main = document.querySelector('main');

// The state of the page is its address, so that a view can be shared.
const state = () => new URLSearchParams(location.hash.slice(1));
function link(changes) {
  const next = state();
  for (const [key, value] of Object.entries(changes)) if (value) next.set(key, value); else next.delete(key);
  return '#' + next;
}

// Links to the views, each with a name; what else they change in the address.
const nav = (views, changes) => el('nav', { 'aria-label': 'views' }, views.map(([view, name]) =>
  el('a', { href: link({ ...changes, view, cell: null }), 'aria-current': (state().get('view') || '') === view && !state().get('cell') ? 'page' : null }, name)));

// Filters: a text, and selections from `[name, label, values]`.
function search(placeholder, selections, ...more) {
  const now = state();
  const set = (event) => { location.hash = link({ [event.target.name]: event.target.value, cell: null }); };
  const isUsed = ['text', ...selections.map(([name]) => name)].some((name) => now.get(name));
  // A phone shows what there is first.
  return el('details', { open: isUsed || matchMedia('(min-width: 40rem)').matches }, el('summary', {}, 'filter'), el('form', { role: 'search', onsubmit: (event) => event.preventDefault() },
    el('label', {}, 'text', el('input', { name: 'text', type: 'search', value: now.get('text') || '', onchange: set, placeholder })),
    selections.map(([name, label, values]) => el('label', {}, label, el('select', { name, onchange: set },
      el('option', { value: '' }, 'all'), values.map((value) => el('option', { value, selected: now.get(name) === String(value) }, value))))), more));
}

// Shows what the address asks for, now and whenever it changes.
function follow(head, sentence, content) {
  const show = () => {
    const now = state();
    const focused = document.activeElement && document.activeElement.name;
    main.replaceChildren(head(), ...content(now).flat(Infinity).filter((child) => child !== null && child !== undefined));
    document.title = now.get('cell') || `kong-pg-tls: ${sentence()}`;
    const again = focused && main.querySelector(`[name="${focused}"]`);
    if (again) again.focus(); else if (now.get('cell')) scrollTo(0, 0);
  };
  addEventListener('hashchange', show);
  show();
}
