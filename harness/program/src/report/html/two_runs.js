// Two runs side by side.
const { comparison, runs, cells } = await unpacked('results');
const CHANGES = ['regressed', 'fixed', 'outcome-changed', 'text-changed', 'new', 'gone'];
const idOf = (cell) => (cell.is || cell.was).id;
const byId = new Map(cells.map((cell) => [idOf(cell), cell]));

const scroll = (name, ...content) => el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': name }, content);

function sentence() {
  const { counts, compared } = comparison;
  if (counts.regressed) return `${counts.regressed} of ${compared} cells regressed.`;
  const others = CHANGES.filter((change) => counts[change]).map((change) => `${counts[change]} ${change}`);
  return `Nothing regressed in ${compared} cells${others.length ? `: ${others.join(', ')}` : ', and nothing else changed'}.`;
}

// A table of what the two have; a row that differs says so in a column of its own.
function facts(name, headings, rows) {
  return scroll(name, el('table', { class: 'facts' }, el('thead', {}, el('tr', {}, [name, ...headings, 'differs?'].map((text) => el('th', { scope: 'col' }, text)))),
    el('tbody', {}, rows.filter(([, was, is]) => was || is).map(([about, was, is]) => el('tr', {}, el('th', { scope: 'row' }, about), el('td', {}, was || ''), el('td', {}, is || ''),
      el('td', { class: 'differs' }, was === is ? '' : 'differs'))))));
}

function head() {
  const { not_applicable: not, axes, partial } = comparison;
  const views = nav([['', 'changes'], ['scenarios', 'scenarios']], { change: null, scenario: null });
  const title = [el('h1', {}, 'kong-pg-tls: two runs'), el('p', { class: 'lead' }, sentence()),
    axes.length ? el('p', {}, axes.map(({ axis, before, after }) => `${axis} ${before} → ${after}`).join('; ')) : null];
  if (state().get('cell')) return el('header', {}, title, views);
  const rows = [['began', ...runs.map((run) => moment(run.started))], ['program', ...runs.map((run) => run.program)], ['commit', ...runs.map((run) => run.commit)], ['runtime', ...runs.map((run) => run.runtime)],
    ['clients', ...runs.map((run) => Object.entries(run.clients).map(([name, about]) => `${name}: ${about}`).join('; '))]];
  return el('header', {}, title,
    el('p', {}, CHANGES.filter((change) => comparison.counts[change]).map((change) => [el('a', { href: link({ change, cell: null, view: null }) }, badge(change, comparison.counts[change])), ' '])),
    not.before || not.after ? el('p', { class: 'dim' }, `Not applicable, as the case is not about the version: ${not.before} cells in the old run, ${not.after} in the new one.`) : null,
    partial ? el('p', {}, 'The new run was interrupted: cells that are gone may only not have been reached.') : null,
    facts('run', ['old', 'new'], rows), views);
}

function filters() {
  const changed = cells.filter((cell) => cell.change);
  return search('id or text', [['change', 'change', CHANGES.filter((change) => comparison.counts[change])],
    ['scenario', 'scenario', [...new Set(changed.map((cell) => (cell.is || cell.was).scenario))].sort()]]);
}

const SHOWN = 20;
function changes(now) {
  const text = (now.get('text') || '').toLowerCase();
  const isWanted = (group) => (id) => (!now.get('scenario') || (byId.get(id).is || byId.get(id).was).scenario === now.get('scenario'))
    && (!text || [id, group.before, group.after].join('\n').toLowerCase().includes(text));
  const groups = comparison.groups.filter((group) => !now.get('change') || group.change === now.get('change'))
    .map((group) => ({ ...group, cells: group.cells.filter(isWanted(group)) })).filter((group) => group.cells.length);
  const links = (ids) => el('ul', {}, ids.map((id) => el('li', {}, el('a', { href: link({ cell: id }) }, el('code', {}, id)))));
  return [filters(), groups.length ? null : el('p', {}, 'Nothing changed here.'), groups.map((group) => el('section', {},
    el('h2', {}, badge(group.change, group.cells.length), group.only.length ? ` only ${group.only.join(', ')}` : ''),
    el('dl', {}, [['was', group.before], ['is', group.after]].filter(([, said]) => said).map(([name, said]) => [el('dt', {}, name), el('dd', {}, el('code', {}, said))])),
    links(group.cells.slice(0, SHOWN)), group.cells.length > SHOWN ? el('details', {}, el('summary', {}, `${group.cells.length - SHOWN} more`), links(group.cells.slice(SHOWN))) : null))];
}

function scenarios() {
  const verdicts = (all, side) => [...count(all.map((cell) => cell[side]).filter(Boolean), (cell) => cell.verdict)].sort((a, b) => worstFirst(a[0], b[0])).map(([verdict, number]) => [badge(verdict, number), ' ']);
  const worst = (all) => Math.min(...all.map((cell) => (cell.change ? CHANGES.indexOf(cell.change) : CHANGES.length)));
  const rows = [...Map.groupBy(cells, (cell) => (cell.is || cell.was).scenario)].sort((a, b) => worst(a[1]) - worst(b[1]) || a[0].localeCompare(b[0]));
  return [el('p', { class: 'dim' }, 'Scenarios in both runs; those in which something regressed or changed first.'),
    scroll('scenarios', el('table', {}, el('thead', {}, el('tr', {}, ['scenario', 'old', 'new', 'changed'].map((name) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, rows.map(([scenario, all]) => el('tr', {}, el('th', { scope: 'row' }, all.some((cell) => cell.change) ? el('a', { href: link({ view: null, scenario }) }, scenario) : scenario),
        el('td', {}, verdicts(all, 'was')), el('td', {}, verdicts(all, 'is')),
        el('td', {}, CHANGES.filter((change) => all.some((cell) => cell.change === change)).map((change) => [badge(change, all.filter((cell) => cell.change === change).length), ' '])))))))];
}

// A text of both runs. What only one of them has is marked, by a sign as well as by its colour.
function both(title, was, is, [onlyWas, onlyIs]) {
  if (!was.length && !is.length) return null;
  const side = (heading, lines, own, sign) => el('div', {}, el('p', { class: 'dim' }, heading), el('pre', { class: 'lines' },
    lines.length ? lines.map((line, place) => (own.includes(place) ? el('mark', { class: 'own' }, `${sign} ${line}`) : el('span', {}, `  ${line}`))) : '(nothing)'));
  const shown = el('div', { class: 'sides' }, side('old', was, onlyWas, '−'), side('new', is, onlyIs, '+'));
  const differs = onlyWas.length || onlyIs.length || was.length !== is.length;
  return differs ? [el('h3', {}, title), shown] : el('details', {}, el('summary', {}, `${title}: the same in both`), shown);
}

function view(id) {
  const cell = byId.get(id);
  if (!cell) return [el('p', {}, `There is no cell ${id} in these runs.`)];
  const back = el('p', {}, el('a', { href: link({ cell: null }) }, '← back'));
  if (!cell.change) return [back, el('h2', {}, id), el('p', {}, 'Nothing changed in this cell.')];
  const { was, is } = cell;
  const read = (reading) => [was, is].map((one) => (one ? reading(one, one.observed || {}) : 'not in this run'));
  const outcome = (_, seen) => (seen.connected ? ['connects', seen.tls ? [seen.tls.version, seen.tls.cipher, seen.tls.client_dn].filter(Boolean).join(', ') : 'in plaintext'].join(' ')
    : seen.error ? `is refused at ${seen.stage}` : 'makes no connection');
  const rows = [['verdict', ...read((one) => one.verdict)], ['reason', ...read((one) => one.reason)], ['outcome', ...read(outcome)],
    ['PostgreSQL', ...read((one) => `${one.postgres.version || one.postgres.major} with OpenSSL ${one.postgres.openssl || 'unknown'}, ${one.runtime}`)], ['Kong', ...read((one) => one.kong)],
    ['client', ...read((one) => `${one.client} on ${one.stack}`)]];
  const lines = (name) => cell.lines[name] || [[], []];
  const text = (reading) => [was, is].map((one) => ((one && reading(one, one.observed || {})) || '').split('\n').filter((line, place, all) => line || place < all.length - 1));
  const files = [...new Set([was, is].flatMap((one) => Object.keys((one && one.files) || {})))];
  return [back, el('h2', {}, (is || was).case, ' ', badge(cell.change)), el('p', {}, el('code', {}, (was || is).id), was && is && was.id !== is.id ? [' → ', el('code', {}, is.id)] : null),
    facts('cell', ['old', 'new'], rows),
    both('What Kong prints', ...text((one, seen) => seen.error), lines('error')),
    both('What PostgreSQL logged', ...text((one, seen) => (seen.server_log || []).join('\n')), lines('server_log')),
    files.map((name) => both(name, ...text((one) => one.files[name]), lines(name))),
    [['old', was], ['new', is]].filter(([, one]) => one).map(([name, one]) => block(`To run just this cell, as in the ${name} run`, one.command))];
}

follow(head, sentence, (now) => (now.get('cell') ? view(now.get('cell')) : now.get('view') === 'scenarios' ? scenarios() : changes(now)));
