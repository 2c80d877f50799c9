const run = await unpacked('results');
const cells = run.cells;
const byId = new Map(cells.map((cell) => [cell.id, cell]));
const failed = (one) => BAD.has(one.verdict) && one.verdict !== 'blocked';
const isFlaky = (cell) => cell.earlier.some((attempt) => failed(attempt) !== failed(cell));
// What is remarkable about a cell besides its verdict.
const MARKS = [['flaky', isFlaky], ['slow', (cell) => cell.slow], ['leaky', (cell) => cell.leaks.length]];
const marked = (cell, mark) => MARKS.some(([word, has]) => word === mark && has(cell));
const marks = (cell) => MARKS.filter(([, has]) => has(cell)).map(([word]) => [' ', badge(word)]);
const markCounts = MARKS.map(([word, has]) => [word, cells.filter(has).length]).filter(([, number]) => number);
const leakText = (leak) => ({ process: () => `process ${leak.pid} (${leak.command})${leak.listens.length ? `, which listens on ${leak.listens.join(' and ')}` : ''}`,
  port: () => `port ${leak.address}, on which the program listened`, container: () => `container ${leak.id}`, file: () => `file ${leak.path}` })[leak.kind]();
const slowText = ({ limit_ms: limit, usual_ms: usual }) => (usual === null ? `took more than ${limit} ms; it has no earlier run to compare with` : `usually ${usual} ms`);
// An axis is worth columns if most scenarios have more than one value on it; a few cases name releases of their own.
const AXES = [['PostgreSQL', (cell) => `PostgreSQL ${cell.postgres.major}`], ['Kong', (cell) => cell.kong], ['client', (cell) => cell.client], ['stack', (cell) => cell.stack]];
const scenarios = [...Map.groupBy(cells, (cell) => cell.scenario).values()];
const varied = AXES.filter(([, read]) => scenarios.filter((all) => new Set(all.map(read)).size > 1).length * 2 > scenarios.length).map(([, read]) => read);
const column = (cell) => varied.map((read) => read(cell)).join(' · ') || 'all';

function sentence() {
  const bad = cells.filter((cell) => BAD.has(cell.verdict)).length;
  const partial = cells.length < run.planned;
  if (partial) return `This run was interrupted: ${cells.length} of ${run.planned} cells have a result, ${bad} of them are not as expected.`;
  if (bad) return `${bad} of ${cells.length} cells are not as expected.`;
  const ran = cells.filter((cell) => cell.verdict === 'pass' || cell.verdict === 'known-deviation').length;
  return ran ? `All ${ran} cells that ran are as expected.` : 'No cell ran: this run proved nothing.';
}

// A list that may be long.
const some = (list) => (list.length < 6 ? list.join(', ') : el('details', {}, el('summary', {}, `${list[0]} and ${list.length - 1} others`), list.slice(1).join(', ')));

function head() {
  const counts = [...count(cells, (cell) => cell.verdict)].sort((a, b) => worstFirst(a[0], b[0]));
  const servers = [...new Set(cells.filter((cell) => cell.postgres.version).map((cell) => `${cell.postgres.version} with OpenSSL ${cell.postgres.openssl || 'unknown'}`))];
  const facts = [['PostgreSQL', servers.join(', ')], ['Kong', some([...new Set(cells.map((cell) => cell.kong))])],
    ['clients', programs(run.clients)], ['run', [moment(run.started), `took ${duration(run.duration_ms)}`, run.program].join(', ')]];
  const views = nav([['', 'matrix'], ['cells', 'cells'], ['documents', 'where the documents are wrong'], ['clients', 'clients']]);
  const title = [el('h1', {}, 'kong-pg-tls'), el('p', { class: 'lead' }, sentence())];
  if (state().get('cell')) return el('header', {}, title, views);
  return el('header', {}, title,
    el('p', {}, counts.map(([verdict, number]) => [el('a', { href: link({ verdict, cell: null, view: 'cells' }) }, badge(verdict, number)), ' ']),
      markCounts.map(([mark, number]) => [el('a', { href: link({ mark, cell: null, view: 'cells' }) }, badge(mark, number)), ' '])),
    run.leaks.length ? el('div', { class: 'note' }, run.leaks.map((leak) => el('p', {}, `Left when the run had ended: ${leakText(leak)}`))) : null,
    el('dl', {}, facts.filter(([, value]) => value).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])), views);
}

const FILTERS = ['text', 'verdict', 'major', 'kong', 'client', 'stack', 'claim', 'scenario', 'mark'];

function filters(now) {
  const values = (key) => [...new Set(cells.map(key))];
  const selections = [['verdict', 'verdict', values((cell) => cell.verdict).sort(worstFirst)], ['major', 'PostgreSQL', values((cell) => cell.postgres.major)],
    ['kong', 'Kong', values((cell) => cell.kong)], ['client', 'client', values((cell) => cell.client)], ['stack', 'stack', values((cell) => cell.stack)],
    ['claim', 'claim', [...new Set(cells.flatMap((cell) => cell.claims))].sort()]];
  if (markCounts.length) selections.push(['mark', 'mark', markCounts.map(([mark]) => mark)]);
  const isFiltered = [...now.keys()].some((key) => FILTERS.includes(key));
  return search('id, message, reason', selections, isFiltered ? el('a', { href: '#' + new URLSearchParams(now.get('view') ? { view: now.get('view') } : {}) }, 'show all') : null);
}

function selected(now) {
  const text = (now.get('text') || '').toLowerCase();
  const says = (cell) => [cell.id, cell.case, cell.reason, cell.observed && cell.observed.error, ...((cell.observed && cell.observed.server_log) || [])].join('\n').toLowerCase();
  return cells.filter((cell) => (!now.get('verdict') || cell.verdict === now.get('verdict')) && (!now.get('major') || String(cell.postgres.major) === now.get('major'))
    && (!now.get('kong') || cell.kong === now.get('kong')) && (!now.get('client') || cell.client === now.get('client')) && (!now.get('stack') || cell.stack === now.get('stack'))
    && (!now.get('claim') || cell.claims.includes(now.get('claim'))) && (!now.get('scenario') || cell.scenario === now.get('scenario')) && (!now.get('mark') || marked(cell, now.get('mark'))) && (!text || says(cell).includes(text)));
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
  const scored = rows.some((row) => run.can_fail[row.scenario]);
  const score = (scenario) => { const one = run.can_fail[scenario]; return one ? `${one.can_fail} of ${one.cells}` : ''; };
  const meaning = scored ? ' “Can fail” counts the cells that fail when their configuration is broken, as measured last.' : '';
  return [filters(now), el('p', { class: 'dim' }, `Scenarios by server, release, client and stack; what is not as expected first, then where the columns differ.${meaning}`),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'matrix' }, el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'scenario'), [...columns, ...(scored ? ['can fail'] : [])].map((name) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, rows.map((row) => el('tr', {}, el('th', { scope: 'row' }, el('a', { href: link({ view: 'cells', scenario: row.scenario }) }, row.scenario)),
        row.parts.map((part) => el('td', {}, part.map(([verdict, number]) => [badge(verdict, number), ' ']))), scored ? el('td', { class: 'dim' }, score(row.scenario)) : null)))))];
}

const MORE = 200;
function list(now) {
  const chosen = selected(now).sort((a, b) => worstFirst(a.verdict, b.verdict));
  const shown = Number(now.get('shown')) || MORE;
  const scenario = now.get('scenario');
  return [filters(now), el('p', {}, `${chosen.length} cells`, scenario ? [` of ${scenario} `, el('a', { href: link({ scenario: null }) }, 'show all scenarios')] : ''),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'cells' }, el('table', {}, el('thead', {}, el('tr', {}, ['verdict', 'cell', 'reason'].map((name) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, chosen.slice(0, shown).map((cell) => el('tr', {}, el('td', {}, badge(cell.verdict), marks(cell)), el('td', { class: 'id' }, el('a', { href: link({ cell: cell.id }) }, cell.id)), el('td', {}, cell.reason || '')))))),
    chosen.length > shown ? el('p', {}, el('a', { href: link({ shown: shown + 1000 }) }, `show ${Math.min(1000, chosen.length - shown)} more`)) : null];
}

const SIDES = { kong: 'Kong’s report', 'server-log': 'PostgreSQL’s log' };
function sides(mismatch) {
  const text = (lines) => (lines.length ? lines.join('\n') : '(nothing)');
  const wanted = new Set(mismatch.expected.flat());
  const observed = mismatch.observed.length ? mismatch.observed.flatMap((line) => [wanted.has(line) ? line : el('mark', {}, line), '\n']) : ['(nothing)'];
  return [el('h3', {}, SIDES[mismatch.what] || mismatch.what.replaceAll('-', ' ')), el('div', { class: 'sides' }, el('div', {}, el('p', { class: 'dim' }, 'expected'), el('pre', {}, mismatch.expected.map(text).join('\n  or\n'))),
    el('div', {}, el('p', { class: 'dim' }, 'observed'), el('pre', {}, observed)))];
}

// Kong's settings of both kinds; a variable overrides kong.conf.
function settings(files) {
  const lines = (name) => (files[name] || '').split('\n').map((line) => line.match(/^([^=]+?)\s*=\s*(.*)$/)).filter(Boolean);
  const all = new Map(lines('kong.conf').map(([, key, value]) => [key, value.replaceAll('\\#', '#')]));
  for (const [, key, value] of lines("Kong's environment")) all.set(key.replace(/^KONG_/, '').toLowerCase(), value);
  return [...all];
}

// The cell whose configuration differs in the fewest lines, among those that are wanted.
function nearest(cell, wanted) {
  const lines = (other) => new Set(Object.values(other.files).join('\n').split('\n'));
  const without = (these, those) => [...these].filter((line) => !those.has(line));
  const mine = lines(cell);
  let best = null;
  for (const other of cells) {
    if (other === cell || !other.observed || AXES.some(([, read]) => read(other) !== read(cell)) || !wanted(other)) continue;
    const theirs = lines(other);
    const [less, more] = [without(mine, theirs), without(theirs, mine)];
    const distance = Math.max(less.length, more.length) + (other.scenario === cell.scenario ? 0 : 0.5);
    if (!best || distance < best.distance) best = { other, distance, less, more };
  }
  return best;
}

function neighbours(cell) {
  if (!Object.keys(cell.files).length) return [];
  return [['The nearest cell that connects', true], ['The nearest cell that does not connect', false]].map(([title, connects]) => {
    const near = nearest(cell, (other) => other.observed.connected === connects);
    if (!near) return [];
    const changes = [...near.less.map((line) => `- ${line}\n`), ...near.more.map((line) => `+ ${line}\n`)].join('');
    return [el('h3', {}, title), el('p', { class: 'id' }, el('a', { href: link({ cell: near.other.id }) }, near.other.id)), el('pre', {}, changes || 'other certificates, with the same settings')];
  });
}

const issuedBy = () => el('div', { class: 'by dim' }, '\u2191 issued by');
const day = (time) => time.slice(0, 10);

// A certificate with what is wrong with it at the time of the run.
function certificate(one, { sent, trusted, issues, began, by }) {
  const wrong = [one.not_after < began && `expired on ${day(one.not_after)}`, one.not_before > began && `not valid before ${day(one.not_before)}`,
    one.revoked && 'revoked', !sent && !trusted && 'not sent with it', issues && !one.ca && 'does not say that it is a CA’s'].filter(Boolean);
  return el('li', {}, issues ? issuedBy() : null, el('div', { class: 'certificate' }, el('strong', {}, one.subject || '(no subject)'), ' ',
    trusted ? el('span', { class: 'v pass' }, `trusted by ${by}`) : null, wrong.map((text) => [' ', el('span', { class: 'v fail' }, text)]),
    el('div', { class: 'dim' }, [one.key, one.signature, `valid ${day(one.not_before)} to ${day(one.not_after)}`, one.names.join(', ')].filter(Boolean).join(' · ')),
    el('div', { class: 'dim' }, one.files.join(' · '))));
}

// A chain as the other side checks it, from the certificate that is shown to its root, and what that side trusts.
function chain(title, { shown, all, by, began, nothing, refused }) {
  const last = shown.links.length - 1;
  const links = shown.links.map((step, place) => certificate(all[step.certificate], { sent: step.sent, trusted: step.trusted, issues: place > 0, began, by }));
  const missing = shown.missing === null ? null : el('li', { class: 'missing' }, issuedBy(), el('div', { class: 'certificate' }, el('strong', {}, shown.missing), ' ', el('span', { class: 'v fail' }, 'missing'),
    el('div', { class: 'dim' }, shown.namesake ? 'There is a certificate of this name, but another key has signed the one above.' : 'This issuer is in none of the files.')));
  const untrusted = last >= 0 && !shown.missing && !shown.links.some((step) => step.trusted) ? el('p', {}, el('span', { class: 'v fail' }, `nothing in this chain is trusted by ${by}`)) : null;
  const trusts = shown.trusted.map((place) => all[place].subject || '(no subject)').concat(shown.trusts_system ? ['what the system trusts'] : []);
  return [el('h3', {}, title), links.length ? el('ol', { class: 'chain' }, links, missing) : el('p', {}, nothing), untrusted,
    el('p', { class: 'dim' }, `${by[0].toUpperCase()}${by.slice(1)} trusts: ${trusts.join(', ') || 'nothing'}`), refused ? el('p', {}, el('span', { class: 'v fail' }, 'refused'), ` ${refused}`) : null];
}

function certificates(cell) {
  if (!cell.certificates) return [];
  const { all, server, client } = cell.certificates;
  const observed = cell.observed || {};
  const said = (observed.judged_log || []).filter((line) => /certificate|unknown ca/i.test(line)).join(' ');
  return [chain('The server’s chain, as Kong checks it', { shown: server, all, by: 'Kong', began: cell.started, nothing: 'No certificate.', refused: observed.x509_code ? observed.error : null }),
    chain('Kong’s chain, as the server checks it', { shown: client, all, by: 'the server', began: cell.started, nothing: 'No certificate.', refused: said || (observed.alert && `with the alert ${observed.alert}`) || null })];
}

function attempts(cell) {
  if (!cell.earlier.length) return [];
  return [el('h3', {}, 'Other attempts'), el('ul', {}, cell.earlier.map((attempt) => el('li', {}, badge(attempt.verdict), ` ${moment(attempt.started)}, ${attempt.duration_ms} ms${attempt.reason ? `: ${attempt.reason}` : ''}`)))];
}

function claims(cell) {
  const says = run.claims || {};
  if (!cell.claims.length) return [];
  return [el('h3', {}, 'What the documents say'), el('dl', {}, cell.claims.map((claim) => [el('dt', {}, el('a', { href: '#' + new URLSearchParams({ view: 'cells', claim }) }, claim)), el('dd', {}, says[claim] || '')]))];
}

function deviation(known) {
  return el('div', { class: 'note' }, el('p', {}, known.says ? `Kong's documentation says: ${known.says}` : 'The documentation does not mention this.'),
    el('p', {}, `What happens: ${known.happens}`), el('p', {}, `Instead: ${known.instead}`));
}

function view(id) {
  const cell = byId.get(id);
  if (!cell) return [el('p', {}, `There is no cell ${id} in this run.`)];
  const observed = cell.observed || {};
  const files = Object.entries(cell.files).filter(([, text]) => text);
  const kong = settings(cell.files);
  const tls = observed.tls && [observed.tls.version, observed.tls.cipher, observed.tls.client_dn].filter(Boolean).join(', ');
  const kept = cell.evidence && el('a', { href: cell.evidence.split('/').map(encodeURIComponent).join('/') + '/' }, cell.evidence);
  const facts = [['reason', cell.reason], ['PostgreSQL', `${cell.postgres.version || cell.postgres.major} with OpenSSL ${cell.postgres.openssl || 'unknown'}, ${cell.runtime}`], ['Kong', cell.kong],
    ['client', `${cell.client} on ${cell.stack}`], ['took', `${cell.duration_ms} ms`], ['slow', cell.slow && slowText(cell.slow)], ['left behind', cell.leaks.map(leakText).join('; ')], ['connected', observed.connected ? tls || 'in plaintext' : null], ['ended', observed.stage && `at ${observed.stage}`],
    ['scenario', cell.place], ['evidence', kept]];
  return [el('p', {}, el('a', { href: link({ cell: null }) }, '← back')), el('h2', {}, cell.case, ' ', badge(cell.verdict), marks(cell)), el('p', { class: 'id' }, el('code', {}, cell.id)),
    el('dl', {}, facts.filter(([, value]) => value).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    claims(cell), cell.documented.map(deviation), cell.remarks.map((remark) => el('p', {}, `Note: ${remark}`)),
    cell.mismatches.map(sides), attempts(cell),
    observed.error ? block('What Kong prints', observed.error) : null,
    (observed.server_log || []).length ? block('What PostgreSQL logged', observed.server_log.join('\n')) : null,
    (observed.relay_log || []).length ? block('What the program between Kong and PostgreSQL logged', observed.relay_log.join('\n')) : null,
    certificates(cell),
    files.map(([name, text]) => block(name, text)),
    kong.length ? el('details', {}, el('summary', {}, 'as environment variables and Helm values'),
      block('environment', kong.map(([key, value]) => `KONG_${key.toUpperCase()}=${value}`).join('\n')),
      block('Helm values', 'env:\n' + kong.map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`).join('\n'))) : null,
    neighbours(cell),
    block('To run just this cell', cell.command)];
}

function documents() {
  // A client that differs from Kong is a known deviation, too, and says nothing about the documents.
  const deviations = cells.filter((cell) => cell.verdict === 'known-deviation' && !cell.difference);
  const says = ({ reason }) => reason.replace('the documents say: ', '');
  const groups = [...Map.groupBy(deviations, says)].sort((a, b) => b[1].length - a[1].length);
  return [el('h2', {}, 'Where the documents are wrong'), el('p', { class: 'dim' }, 'Cells that are as the scenarios expect, where the documents say something else.'),
    groups.map(([text, all]) => el('details', {}, el('summary', {}, `${text} (${all.length} cell${all.length === 1 ? '' : 's'})`), all[0].documented.map(deviation), el('ul', {}, all.slice(0, 20).map((cell) => el('li', {}, el('a', { href: link({ cell: cell.id }) }, cell.id))))))];
}

function clients() {
  const agreement = run.agreement || [];
  if (!agreement.length) return [el('h2', {}, 'Clients'), el('p', {}, 'This run had one client; --client kong,openresty,libpq,rustls compares several.')];
  return [el('h2', {}, 'Clients'), agreement.map((one) => [el('h3', {}, `${one.client} agrees with kong in ${one.agree} of ${one.compared} cells`),
    ['races', 'differences', 'unsupported'].flatMap((kind) => one[kind].map((parting) => el('details', {}, el('summary', {}, `${parting.cells.length} ${kind}: ${parting.because}`),
      el('ul', {}, parting.cells.slice(0, 10).map((side) => el('li', {}, el('code', {}, side.cell), el('dl', {}, Object.entries(side.reports).map(([name, report]) => [el('dt', {}, name), el('dd', {}, report)]))))))))])];
}

const VIEWS = { cells: list, documents, clients };
follow(head, sentence, (now) => (now.get('cell') ? view(now.get('cell')) : (VIEWS[now.get('view')] || matrix)(now)));
