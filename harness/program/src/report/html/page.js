// The results are in the page as base64 of gzip of results.json.
const packed = Uint8Array.from(atob(document.getElementById('results').textContent), (character) => character.charCodeAt(0));
const run = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).json();
const cells = run.cells;
const byId = new Map(cells.map((cell) => [cell.id, cell]));
const ORDER = ['environment-error', 'timeout', 'fail', 'blocked', 'skipped', 'known-deviation', 'unsupported', 'pass'];
const BAD = new Set(['environment-error', 'timeout', 'fail', 'blocked']);
const main = document.querySelector('main');

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
const caseOf = (cell) => cell.id.split('@')[0];
// An axis is worth columns if most scenarios have more than one value on it; a few cases name releases of their own.
const AXES = [['PostgreSQL', (cell) => `PostgreSQL ${cell.postgres.major}`], ['Kong', (cell) => cell.kong], ['client', (cell) => cell.client], ['stack', (cell) => cell.stack]];
const scenarios = [...Map.groupBy(cells, (cell) => cell.scenario).values()];
const varied = AXES.filter(([, read]) => scenarios.filter((all) => new Set(all.map(read)).size > 1).length * 2 > scenarios.length).map(([, read]) => read);
const column = (cell) => varied.map((read) => read(cell)).join(' · ') || 'all';

// The state of the page is its address, so that a view can be shared.
const state = () => new URLSearchParams(location.hash.slice(1));
function link(changes) {
  const next = changes.cell ? new URLSearchParams() : state();
  for (const [key, value] of Object.entries(changes)) if (value) next.set(key, value); else next.delete(key);
  return '#' + next;
}

function sentence() {
  const bad = cells.filter((cell) => BAD.has(cell.verdict)).length;
  const partial = cells.length < run.planned;
  if (partial) return `This run was interrupted: ${cells.length} of ${run.planned} cells have a result, ${bad} of them are not as expected.`;
  if (bad) return `${bad} of ${cells.length} cells are not as expected.`;
  const ran = cells.filter((cell) => cell.verdict === 'pass' || cell.verdict === 'known-deviation').length;
  return ran ? `All ${ran} cells that ran are as expected.` : 'No cell ran: this run proved nothing.';
}

function head() {
  const counts = [...count(cells, (cell) => cell.verdict)].sort((a, b) => worstFirst(a[0], b[0]));
  const servers = [...new Set(cells.filter((cell) => cell.postgres.version).map((cell) => `${cell.postgres.version} with OpenSSL ${cell.postgres.openssl || 'unknown'}`))];
  const facts = [['PostgreSQL', servers.join(', ')], ['Kong', [...new Set(cells.map((cell) => cell.kong))].join(', ')],
    ['clients', Object.entries(run.clients || {}).map(([name, about]) => `${name}: ${about}`).join('; ')],
    ['run', [run.started, `${(run.duration_ms / 1000).toFixed(1)} s`, run.program].filter(Boolean).join(', ')]];
  return el('header', {}, el('h1', {}, 'kong-pg-tls'), el('p', { class: 'lead' }, sentence()),
    el('p', {}, counts.map(([verdict, number]) => [el('a', { href: link({ verdict, cell: null, view: 'cells' }) }, badge(verdict, number)), ' '])),
    el('dl', {}, facts.filter(([, value]) => value).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    el('nav', { 'aria-label': 'views' }, [['', 'matrix'], ['cells', 'cells'], ['documents', 'where the documents are wrong'], ['clients', 'clients']]
      .map(([view, name]) => el('a', { href: link({ view, cell: null }), 'aria-current': (state().get('view') || '') === view && !state().get('cell') ? 'page' : null }, name))));
}

function filters(now) {
  const set = (event) => { location.hash = link({ [event.target.name]: event.target.value, cell: null }); };
  const select = (name, label, values) => el('label', {}, label, el('select', { name, onchange: set },
    el('option', { value: '' }, 'all'), values.map((value) => el('option', { value, selected: now.get(name) === String(value) }, value))));
  const values = (key) => [...new Set(cells.map(key))];
  return el('form', { role: 'search', onsubmit: (event) => event.preventDefault() },
    el('label', {}, 'text', el('input', { name: 'text', type: 'search', value: now.get('text') || '', onchange: set, placeholder: 'id, message, reason' })),
    select('verdict', 'verdict', values((cell) => cell.verdict).sort(worstFirst)), select('major', 'PostgreSQL', values((cell) => cell.postgres.major)),
    select('kong', 'Kong', values((cell) => cell.kong)), select('client', 'client', values((cell) => cell.client)), select('stack', 'stack', values((cell) => cell.stack)),
    select('claim', 'claim', [...new Set(cells.flatMap((cell) => cell.claims))].sort()));
}

function selected(now) {
  const text = (now.get('text') || '').toLowerCase();
  const says = (cell) => [cell.id, cell.case, cell.reason, cell.observed && cell.observed.error, ...((cell.observed && cell.observed.server_log) || [])].join('\n').toLowerCase();
  return cells.filter((cell) => (!now.get('verdict') || cell.verdict === now.get('verdict')) && (!now.get('major') || String(cell.postgres.major) === now.get('major'))
    && (!now.get('kong') || cell.kong === now.get('kong')) && (!now.get('client') || cell.client === now.get('client')) && (!now.get('stack') || cell.stack === now.get('stack'))
    && (!now.get('claim') || cell.claims.includes(now.get('claim'))) && (!now.get('scenario') || cell.scenario === now.get('scenario')) && (!text || says(cell).includes(text)));
}

function matrix(now) {
  const chosen = selected(now);
  const columns = [...new Set(chosen.map(column))];
  const rows = [...Map.groupBy(chosen, (cell) => cell.scenario)].map(([scenario, all]) => {
    const parts = columns.map((name) => [...count(all.filter((cell) => column(cell) === name), (cell) => cell.verdict)].sort((a, b) => worstFirst(a[0], b[0])));
    const worst = Math.min(...all.map((cell) => ORDER.indexOf(cell.verdict)));
    return { scenario, parts, worst, differ: new Set(parts.map(String)).size > 1 };
  });
  rows.sort((a, b) => Math.min(a.worst, 4) - Math.min(b.worst, 4) || b.differ - a.differ || a.scenario.localeCompare(b.scenario));
  return [filters(now), el('p', { class: 'dim' }, 'Scenarios by server, release, client and stack; what is not as expected first, then where the columns differ.'),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'matrix' }, el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'scenario'), columns.map((name) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, rows.map((row) => el('tr', {}, el('th', { scope: 'row' }, el('a', { href: link({ view: 'cells', scenario: row.scenario }) }, row.scenario)),
        row.parts.map((part) => el('td', {}, part.map(([verdict, number]) => [badge(verdict, number), ' '])))))))), ];
}

const MORE = 200;
function list(now) {
  const chosen = selected(now).sort((a, b) => worstFirst(a.verdict, b.verdict));
  const shown = Number(now.get('shown')) || MORE;
  const scenario = now.get('scenario');
  return [filters(now), el('p', {}, `${chosen.length} cells`, scenario ? [` of ${scenario} `, el('a', { href: link({ scenario: null }) }, 'show all scenarios')] : ''),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'cells' }, el('table', {}, el('thead', {}, el('tr', {}, ['verdict', 'cell', 'reason'].map((name) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, chosen.slice(0, shown).map((cell) => el('tr', {}, el('td', {}, badge(cell.verdict)), el('td', { class: 'id' }, el('a', { href: link({ cell: cell.id }) }, cell.id)), el('td', {}, cell.reason || '')))))),
    chosen.length > shown ? el('p', {}, el('a', { href: link({ shown: shown + 1000 }) }, `show ${Math.min(1000, chosen.length - shown)} more`)) : null];
}

function block(title, text) {
  const button = el('button', { class: 'copy', type: 'button', onclick: () => navigator.clipboard && navigator.clipboard.writeText(text) }, 'copy');
  return [el('h3', {}, title), el('pre', {}, button, text)];
}

function sides(mismatch) {
  const text = (lines) => (lines.length ? lines.join('\n') : '(nothing)');
  const wanted = new Set(mismatch.expected.flat());
  const observed = mismatch.observed.length ? mismatch.observed.flatMap((line) => [wanted.has(line) ? line : el('mark', {}, line), '\n']) : ['(nothing)'];
  return [el('h3', {}, mismatch.what), el('div', { class: 'sides' }, el('div', {}, el('p', { class: 'dim' }, 'expected'), el('pre', {}, mismatch.expected.map(text).join('\n  or\n'))),
    el('div', {}, el('p', { class: 'dim' }, 'observed'), el('pre', {}, observed)))];
}

function settings(kongConf) {
  return kongConf.split('\n').map((line) => line.split(' = ')).filter(([key, value]) => key && value !== undefined);
}

// The cell whose configuration differs in the fewest lines and that ended the other way.
function neighbour(cell) {
  const lines = (other) => new Set(Object.values(other.files || {}).join('\n').split('\n'));
  const mine = lines(cell);
  const connects = (other) => Boolean(other.observed && other.observed.connected);
  let best = null;
  for (const other of cells) {
    if (other === cell || AXES.some(([, read]) => read(other) !== read(cell)) || connects(other) === connects(cell) || !other.files || !other.observed) continue;
    const theirs = lines(other);
    const differing = [...mine].filter((line) => !theirs.has(line)).length + [...theirs].filter((line) => !mine.has(line)).length + (other.scenario === cell.scenario ? 0 : 0.5);
    if (!best || differing < best.differing) best = { other, differing, less: [...mine].filter((line) => !theirs.has(line)), more: [...theirs].filter((line) => !mine.has(line)) };
  }
  return best;
}

function view(id) {
  const cell = byId.get(id);
  if (!cell) return [el('p', {}, `There is no cell ${id} in this run.`)];
  const observed = cell.observed || {};
  const files = Object.entries(cell.files || {}).filter(([, text]) => text);
  const kong = settings((cell.files || {})['kong.conf'] || '');
  const near = neighbour(cell);
  const tls = observed.tls && [observed.tls.version, observed.tls.cipher, observed.tls.client_dn].filter(Boolean).join(', ');
  const facts = [['PostgreSQL', `${cell.postgres.version || cell.postgres.major} with OpenSSL ${cell.postgres.openssl || 'unknown'}, ${cell.runtime}`], ['Kong', cell.kong], ['client', `${cell.client} on ${cell.stack}`],
    ['took', `${cell.duration_ms} ms`], ['reason', cell.reason], ['connected', observed.connected ? tls || 'in plaintext' : null], ['ended', observed.stage && `at ${observed.stage}`]];
  return [el('p', {}, el('a', { href: link({ cell: null }) }, '← back')), el('h2', {}, cell.case, ' ', badge(cell.verdict)), el('p', {}, el('code', {}, cell.id)),
    el('dl', {}, facts.filter(([, value]) => value).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    (cell.claims || []).length ? el('p', { class: 'dim' }, 'claims: ', cell.claims.map((claim, place) => [place ? ', ' : '', el('a', { href: '#' + new URLSearchParams({ view: 'cells', claim }) }, claim)])) : null,
    cell.documented.map((known) => el('div', { class: 'note' }, el('p', {}, known.says ? `Kong's documentation says: ${known.says}` : 'The documentation does not mention this.'), el('p', {}, `What happens: ${known.happens}`), el('p', {}, `Instead: ${known.instead}`))),
    (cell.remarks || []).map((remark) => el('p', {}, `Note: ${remark}`)),
    (cell.mismatches || []).map(sides),
    observed.error ? block('What Kong prints', observed.error) : null,
    (observed.server_log || []).length ? block('What PostgreSQL logged', observed.server_log.join('\n')) : null,
    files.map(([name, text]) => block(name, text)),
    kong.length ? el('details', {}, el('summary', {}, 'as environment variables and Helm values'),
      block('environment', kong.map(([key, value]) => `KONG_${key.toUpperCase()}=${value}`).join('\n')),
      block('Helm values', 'env:\n' + kong.map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`).join('\n'))) : null,
    near ? [el('h3', {}, near.other.observed.connected ? 'The nearest cell that connects' : 'The nearest cell that is refused'), el('p', {}, el('a', { href: link({ cell: near.other.id }) }, near.other.id)),
      el('pre', {}, [...near.less.map((line) => `- ${line}\n`), ...near.more.map((line) => `+ ${line}\n`)].join('') || 'other certificates, with the same configuration')] : null,
    block('To run just this cell', `kong-pg-tls run '${cell.id}' --runtime ${cell.runtime}`)];
}

function documents() {
  const deviations = cells.filter((cell) => cell.verdict === 'known-deviation');
  const groups = [...Map.groupBy(deviations, (cell) => cell.reason || '')].sort((a, b) => b[1].length - a[1].length);
  return [el('h2', {}, 'Where the documents are wrong'), el('p', { class: 'dim' }, 'Cells that are as the scenarios expect, where the documents say something else.'),
    groups.map(([reason, all]) => el('details', {}, el('summary', {}, `${reason} (${all.length} cells)`), el('ul', {}, all.slice(0, 20).map((cell) => el('li', {}, el('a', { href: link({ cell: cell.id }) }, cell.id))))))];
}

function clients() {
  const agreement = run.agreement || [];
  if (!agreement.length) return [el('h2', {}, 'Clients'), el('p', {}, 'This run had one client; --client kong,openresty,libpq,rustls compares several.')];
  return [el('h2', {}, 'Clients'), agreement.map((one) => [el('h3', {}, `${one.client} agrees with kong in ${one.agree} of ${one.compared} cells`),
    ['races', 'differences', 'unsupported'].flatMap((kind) => one[kind].map((parting) => el('details', {}, el('summary', {}, `${parting.cells.length} ${kind}: ${parting.because}`),
      el('ul', {}, parting.cells.slice(0, 10).map((side) => el('li', {}, el('code', {}, side.cell), el('dl', {}, Object.entries(side.reports).map(([name, report]) => [el('dt', {}, name), el('dd', {}, report)]))))))))])];
}

function show() {
  const now = state();
  const views = { cells: list, documents, clients };
  const content = now.get('cell') ? view(now.get('cell')) : (views[now.get('view')] || matrix)(now);
  const focused = document.activeElement && document.activeElement.name;
  main.replaceChildren(head(), ...content.flat(Infinity).filter((child) => child !== null && child !== undefined));
  document.title = now.get('cell') || `kong-pg-tls: ${sentence()}`;
  const again = focused && main.querySelector(`[name="${focused}"]`);
  if (again) again.focus(); else if (now.get('cell')) scrollTo(0, 0);
}
addEventListener('hashchange', show);
show();
