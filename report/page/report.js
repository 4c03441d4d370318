/* The page of one run, from the data that einet put into it. */
const NO_JOBS = 'There is no jobs.csv in the folder (outputs.jobs: none), and this figure is drawn from it.';
const PARTS = {
  execution: ['execution', 'var(--c2)'], interference: ['interference by higher tasks', 'var(--c0)'], blocking: ['blocking by lower tasks', 'var(--c3)'],
  lane_queue: ['queue for the lane', 'var(--c4)'], release_delay: ['late release', 'var(--c5)'], throttled: ['throttled', 'var(--c1)'], unexplained: ['unexplained', 'var(--axis)'],
};

function colourOf(i) {
  return `var(--c${i % 8})`;
}

/* One panel per task that `wanted` accepts. */
function panels(data, wanted, aside, draw) {
  return el('div', { class: 'panels' }, data.tasks.map((task, i) => wanted(task) ? panel(task.summary.name, colourOf(i), aside(task),
    drawing(task.summary.name, (root, width) => draw(root, width, task, colourOf(i)))) : null));
}

/* ---- head ---- */

function head(data) {
  const s = data.summary, run = data.run || {};
  const about = [duration(s.duration_ns), 'seed ' + s.seed, 'einet ' + s.version + (run.git ? ' (' + String(run.git).slice(0, 10) + ')' : '')];
  if (run.started_at) about.push(run.started_at);
  if (s.machine) about.push([s.machine.hostname, s.machine.cpu_model].filter(Boolean).join(', '));
  const box = document.getElementById('head');
  box.append(el('h1', {}, s.name), el('p', { class: 'about' }, about.join(' \u00b7 ')));
  if (s.degraded.length > 0) {
    box.append(el('div', { class: 'banner', id: 'degraded', role: 'note' }, el('b', {}, 'DEGRADED'), ' The run is not what its workload asked for, so its figures may not be what they would be:',
      el('ul', {}, s.degraded.map(d => el('li', {}, d.reason, d.fix ? [' \u2014 fix: ', el('code', {}, d.fix)] : [])))));
  }
  const notes = [];
  if (s.ended_early) notes.push('It was ended before its time' + (s.end_signal ? ' by signal ' + s.end_signal : '') + '.');
  if (s.identity_ok === false) notes.push('Released, skipped and dropped jobs do not add up to the releases that were due.');
  if (isOutranked(s.noise)) notes.push(OUTRANKED + ' Misses that the machine explains may be explained by them.');
  if (s.machine && s.machine.warnings) notes.push(s.machine.warnings);
  const lost = Object.entries(s.records_lost || {}).filter(([, n]) => n > 0).map(([kind, n]) => count(n) + ' ' + kind);
  if (lost.length > 0) notes.push('Records were lost: ' + lost.join(', ') + '.');
  for (const task of data.tasks) {
    if (task.missing_jobs > 0) notes.push(count(task.missing_jobs) + ' jobs of ' + task.summary.name + ' are in summary.json and not in jobs.csv: figures drawn from jobs.csv lack them.');
    if (task.summary.demoted) notes.push('The watchdog took ' + task.summary.name + ' out of real time: ' + task.summary.demoted.why + '.');
  }
  if (notes.length > 0) box.append(el('div', { class: 'banner note', id: 'notes', role: 'note' }, el('b', {}, 'Note'), el('ul', {}, notes.map(n => el('li', {}, n)))));
}

/* Without SCHED_FIFO the probe waits for the tasks of the run like anybody else. Runs of older versions do not say. */
const isOutranked = noise => noise && noise.is_probe_fifo === false;
const OUTRANKED = 'The noise probe is no real-time thread, so tasks of this run may be what it calls the machine.';

const notMet = t => t.misses + t.aborted + t.skipped + t.dropped;
const releases = t => t.released + t.skipped + t.dropped;

function tiles(data) {
  const tasks = data.tasks.map(t => t.summary), s = data.summary;
  const sum = f => tasks.reduce((total, t) => total + f(t), 0);
  const missed = sum(notMet), slos = tasks.flatMap(t => t.slo), failed = slos.filter(o => o.pass === false).length;
  const judged = slos.filter(o => o.pass !== null).length;
  const tile = (label, value, more, cls) => el('div', { class: 'tile ' + (cls || '') }, el('div', { class: 'label' }, label), el('div', { class: 'value' }, value), el('div', { class: 'more' }, more));
  const noise = s.noise && s.noise.p99 !== null && s.noise.wakeups > 0;
  return el('div', { class: 'tiles', id: 'summary-tiles' },
    tile('Jobs', count(sum(releases)), tasks.length + (tasks.length > 1 ? ' tasks' : ' task') + ', without ' + count(sum(t => t.warmup)) + ' of the warm-up'),
    tile('Deadlines not met', count(missed), missed > 0 ? count(sum(t => t.misses_machine_explained + t.not_run_machine_explained)) + ' explained by the machine' : 'none late, dropped or skipped', missed > 0 ? 'bad' : 'good'),
    tile('Objectives', judged > 0 ? (judged - failed) + ' of ' + judged : 'none', judged > 0 ? (failed > 0 ? failed + ' failed' : 'all passed') : 'the workload sets none', failed > 0 ? 'bad' : judged > 0 ? 'good' : ''),
    tile('Preemptions', count(sum(t => t.preemptions)), sum(t => t.preempted_jobs) > 0 ? count(sum(t => t.answered_preempted)) + ' of ' + count(sum(t => t.preempted_jobs)) + ' preempted jobs answered' : 'no job lost its lane'),
    tile('Machine noise', noise ? duration(s.noise.p99) : 'unknown', noise ? 'p99; largest ' + duration(s.noise.max) + (isOutranked(s.noise) ? '; the probe is no real-time thread' : '') : 'virtual time, or no probe'));
}

function summaryTable(data) {
  const rows = data.tasks.map(({ summary: t }) => {
    const r = t.response_ns || {}, bad = notMet(t), w = t.miss_ratio_wilson95;
    const cell = (text, cls, small) => el('td', cls ? { class: cls } : {}, text, small ? el('div', {}, el('small', {}, small)) : null);
    return el('tr', {}, el('th', { scope: 'row' }, t.name, el('div', {}, el('small', { class: 'dim' }, t.class === 'other' ? 'ordinary' : t.class === 'deadline' ? 'SCHED_DEADLINE' : 'priority ' + t.priority))),
      cell(count(t.released), '', t.skipped + t.dropped > 0 ? count(t.skipped) + ' skipped, ' + count(t.dropped) + ' dropped' : ''),
      cell(count(bad), bad > 0 ? 'bad' : '', percent(t.miss_ratio) + (w ? ' [' + percent(w[0]) + ', ' + percent(w[1]) + ']' : '')),
      cell(duration(r.p50)), cell(duration(r.p99)), cell(duration(r.max), t.deadline_ns !== null && r.max > t.deadline_ns ? 'bad' : ''), cell(duration(t.deadline_ns)),
      cell(t.jitter_ns ? duration(t.jitter_ns.p99) : '-'), cell(percent(t.coverage)), cell(percent(t.accuracy)), cell(count(t.preemptions)));
  });
  const heads = ['Task', 'Released', 'Not met', 'Response p50', 'p99', 'max', 'Deadline', 'Jitter p99', 'Answered', 'Right', 'Preempted'];
  return el('section', {}, el('figure', { id: 'summary', 'aria-labelledby': 'summary-title' },
    el('figcaption', {}, el('h2', { id: 'summary-title' }, 'Summary'), el('p', { class: 'what' }, 'Times count from the nominal release. Not met: late, given up, skipped or dropped, with the interval of its ratio at 95 %.')),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Summary table' }, el('table', {}, el('thead', {}, el('tr', {}, heads.map(h => el('th', { scope: 'col' }, h)))), el('tbody', {}, rows)))));
}

function objectives(data) {
  const show = (name, value) => value === null || value === undefined ? '-' : name.endsWith('_ns') ? duration(value) : name === 'mk' ? String(value) : percent(value);
  const items = data.tasks.flatMap(({ summary: t }) => t.slo.map(o => {
    const state = o.pass === null ? ['open', 'OPEN'] : o.pass ? ['pass', 'PASS'] : ['fail', 'FAIL'];
    const name = o.name.replace(/_ns$/, '').replace(/_/g, ' '), least = o.name.startsWith('min_');
    return el('li', {}, el('span', { class: 'verdict ' + state[0] }, state[1]), el('span', { class: 'what' }, el('b', {}, t.name), ' ' + name + ' ' + (least ? '\u2265 ' : '\u2264 ') + show(o.name, o.limit),
      el('small', { class: 'dim' }, ' is ' + show(o.name, o.value) + (o.machine_explained ? '; would pass without what the machine explains' : ''))));
  }));
  return el('section', {}, el('figure', { id: 'slo', 'aria-labelledby': 'slo-title' }, el('figcaption', {}, el('h2', { id: 'slo-title' }, 'Objectives')),
    items.length > 0 ? el('ul', { class: 'slos' }, items) : el('p', { class: 'none' }, 'The workload file sets no objectives (slo).')));
}

/* ---- figures ---- */

function responseFigure(data) {
  const id = 'response', title = 'Response times', what = 'The share of jobs that took longer than a time, both axes logarithmic. Where the curve crosses the deadline is the share that is late.';
  const shown = task => (task.ccdf || []).length > 0;
  if (!data.has_jobs && !data.tasks.some(shown)) return figure({ id, title, what, none: NO_JOBS });
  if (!data.tasks.some(shown)) return figure({ id, title, what, none: 'No job was completed after the warm-up.' });
  const lateShare = t => t.completed > 0 ? t.misses / t.completed : 0;
  return figure({
    id, title, what,
    body: [panels(data, shown, ({ summary: t }) => t.deadline_ns === null ? 'no deadline' : t.misses > 0 ? percent(lateShare(t)) + ' late' : 'none late', (root, width, task, colour) => {
      const t = task.summary, largest = Math.max(t.response_ns.max, task.ccdf[task.ccdf.length - 1][0]);
      const from = Math.max(100, task.fastest_ns * 0.9), to = Math.max(largest, t.deadline_ns || 0, from * 2) * 1.15;
      return curveChart(root, width, {
        isLog: true, from, to, low: Math.pow(10, Math.floor(Math.log10(0.9 / Math.max(10, t.completed)))), deadline: t.deadline_ns, markLate: true,
        curves: [{ points: task.ccdf, startY: 1, colour }],
        describe: at => {
          const p = valueAt(task.ccdf, at, 1);
          return [t.name, p > 0 ? percent(p) + ' take longer than ' + duration(at) : 'none takes longer than ' + duration(at), p > 0 && p < 0.5 ? 'one of ' + count(Math.round(1 / p)) : 'median ' + duration(t.response_ns.p50)];
        },
      });
    })],
    table: { head: ['Task', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max', 'Deadline', 'Late'], rows: data.tasks.filter(shown).map(({ summary: t }) => [t.name, ...['p50', 'p90', 'p99', 'p999', 'p9999', 'max'].map(k => duration(t.response_ns[k])), duration(t.deadline_ns), percent(lateShare(t))]) },
  });
}

function missesFigure(data) {
  const id = 'misses', title = 'Deadlines not met over the run';
  const what = 'Releases by the time of their release, in windows of ' + duration(data.window_ns) + ': late, or not run to the end (given up, skipped, dropped).';
  if (!data.has_jobs) return figure({ id, title, what, none: NO_JOBS });
  const bad = w => w[1] + w[2], most = Math.max(4, ...data.tasks.flatMap(t => t.windows.map(bad)));
  const ticks = n => roundTicks(0, n, 5).filter(i => Number.isInteger(i) && i < n).map(i => [i, duration(i * data.window_ns)]);
  /* Many tasks that met everything would hide those that did not. */
  const shown = task => data.tasks.length <= 6 || task.windows.some(w => bad(w) > 0);
  const met = data.tasks.filter(task => !shown(task)).map(task => task.summary.name);
  const rows = data.tasks.flatMap(t => t.windows.map((w, i) => [t.summary.name, duration(i * data.window_ns), ...w]).filter(r => r[3] + r[4] > 0));
  return figure({
    id, title, what,
    body: [legend([[swatch('var(--bad)'), 'late'], [swatch('var(--c4)'), 'not run to the end'], [stroke({ stroke: 'var(--good)', opacity: 0.55, 'stroke-width': 3 }), 'all met']]),
      panels(data, shown, ({ summary: t }) => count(notMet(t)) + ' of ' + count(releases(t)), (root, width, task) => columnChart(root, width, {
        height: 130, most, yText: v => count(v), xTicks: ticks(task.windows.length),
        columns: task.windows.map((w, i) => ({
          pile: [[w[1], 'var(--bad)'], [w[2], 'var(--c4)']], isGood: bad(w) === 0 && w[0] > 0, title: task.summary.name + ', ' + duration(i * data.window_ns) + ' to ' + duration((i + 1) * data.window_ns),
          lines: [count(w[0]) + ' met', count(w[1]) + ' late, ' + count(w[2]) + ' not run to the end', count(w[3]) + ' explained by the machine'],
        })),
      })), met.length > 0 ? el('p', { class: 'what' }, 'Met throughout: ' + met.join(', ') + '.') : ''],
    table: { head: ['Task', 'From', 'Met', 'Late', 'Not run', 'Machine'], rows },
  });
}

const hasExits = task => (task.exit_shares || []).length > 0;

function exitsFigure(data) {
  const id = 'exits', title = 'Which exits answered', what = 'The share of delivered answers that came from each exit, with its interval at 95 %.';
  if (!data.tasks.some(hasExits)) return figure({ id, title, what, none: 'No task of this run delivered an answer of a network.' });
  const all = task => task.exit_shares.reduce((sum, e) => sum + e[0], 0);
  return figure({
    id, title, what,
    body: [panels(data, hasExits, task => count(all(task)) + ' answers', (root, width, task, colour) => columnChart(root, width, {
      most: Math.min(1, Math.max(...task.exit_shares.map(e => e[2])) * 1.05), yText: percent,
      xTicks: task.exit_shares.map((e, i) => [i, String(i + 1)]),
      columns: task.exit_shares.map((e, i) => {
        const right = (task.summary.accuracy_per_exit || [])[i];
        return { pile: [[e[0] / all(task), colour]], low: e[1], high: e[2], title: task.summary.name + ', exit ' + (i + 1),
          lines: [count(e[0]) + ' answers, ' + percent(e[0] / all(task)), 'interval ' + percent(e[1]) + ' to ' + percent(e[2]), right === null || right === undefined ? 'no labelled answer' : percent(right) + ' of them right'] };
      }),
    }))],
    table: { head: ['Task', 'Exit', 'Answers', 'Share', 'Right'], rows: data.tasks.filter(hasExits).flatMap(t => t.exit_shares.map((e, i) => [t.summary.name, i + 1, count(e[0]), percent(e[0] / all(t)), percent((t.summary.accuracy_per_exit || [])[i])])) },
  });
}

function stopsFigure(data) {
  const id = 'stops', title = 'When jobs were forced to end, and what the planner assumed';
  const what = 'The chance that a job has not been stopped by a preemption, its deadline, the load cap or an overrun by a time since its release, as the run showed it (Kaplan and Meier: jobs that ended by themselves count up to then). Dashed: the S that the planner assumed, from the release to the deadline, as its jobs saw it in the mean. ';
  if (!data.has_jobs) return figure({ id, title, what, none: NO_JOBS });
  const shown = task => task.survival !== undefined && task.ended_by_ns > 0;
  if (!data.tasks.some(shown)) return figure({ id, title, what, none: 'No task of this run has a network.' });
  /* S from the release on. Where the run did not tell it (older versions) 100 points of it up to the deadline, by the
   * name of its source, or none. */
  const assumedCurve = (task, to) => {
    if (task.assumed_curve) return task.assumed_curve;
    const deadline = task.summary.deadline_ns, end = deadline || to;
    const at = { uniform: share => 1 - share, exponential: share => Math.exp(-task.assumed_rate_hz * share * end / 1e9) }[task.assumed];
    if (!at || (task.assumed === 'uniform' ? !deadline : !(task.assumed_rate_hz > 0))) return null;
    const points = Array.from({ length: 101 }, (_, i) => [i / 100 * end, at(i / 100)]);
    return deadline ? points.concat([[end, 0]]) : points;
  };
  const isKnown = task => assumedCurve(task, 1) !== null;
  const sources = [...new Set(data.tasks.filter(shown).filter(t => !isKnown(t)).map(t => t.assumed || 'unknown'))];
  const missing = sources.length > 0 ? `S is missing where no file of the folder tells it: the run is of an older version and its exit time ${sources.join(', ')}, so only what was observed is shown.` : '';
  return figure({
    id, title, what: what + missing,
    body: [panels(data, shown, task => count(task.stops) + ' stops' + (task.assumed ? ', S: ' + task.assumed : ''), (root, width, task, colour) => {
      const t = task.summary, to = timesEnd(task);
      const curves = [{ points: task.survival, startY: 1, colour, endX: Math.min(to, task.ended_by_ns) }];
      const line = assumedCurve(task, to);
      if (line) curves.push({ points: line, startY: 1, colour: 'var(--ink)', cls: 'second' });
      return curveChart(root, width, {
        from: 0, to, deadline: t.deadline_ns, curves,
        describe: at => [t.name + ', ' + duration(at) + ' after the release', percent(valueAt(task.survival, at, 1)) + ' not stopped', ...(line ? ['planner: ' + percent(valueAt(line, at, 1))] : [])],
      });
    })],
    table: { head: ['Task', 'Stops', 'Planner assumed'], left: [2], rows: data.tasks.filter(shown).map(t => [t.summary.name, count(t.stops), t.assumed || '-']) },
  });
}

function elasticFigure(data) {
  const id = 'elastic', title = 'Right answers by time', what = 'Of all labelled jobs that ran, the share that had delivered a right answer (solid) or its answer (dashed) by a time since the release. A job without an answer counts as not right.';
  if (!data.has_jobs) return figure({ id, title, what, none: NO_JOBS });
  const shown = task => task.labelled > 0;
  if (!data.tasks.some(shown)) return figure({ id, title, what, none: 'No job of this run was answered by a network on a labelled sample.' });
  const atDeadline = task => task.summary.deadline_ns > 0 ? valueAt(task.right, task.summary.deadline_ns, 0) : null;
  return figure({
    id, title, what,
    body: [panels(data, shown, task => atDeadline(task) === null ? percent(task.summary.accuracy) + ' right' : percent(atDeadline(task)) + ' right by D', (root, width, task, colour) => {
      const t = task.summary, to = timesEnd(task);
      return curveChart(root, width, {
        from: 0, to, deadline: t.deadline_ns,
        curves: [{ points: task.answered, startY: 0, colour, cls: 'second', endX: to }, { points: task.right, startY: 0, colour, endX: to }],
        describe: at => [t.name + ', ' + duration(at) + ' after the release', percent(valueAt(task.right, at, 0)) + ' right', percent(valueAt(task.answered, at, 0)) + ' answered'],
      });
    })],
    table: { head: ['Task', 'Labelled jobs', 'Right by D', 'Right', 'Answered'], rows: data.tasks.filter(shown).map(t => [t.summary.name, count(t.labelled), percent(atDeadline(t)), percent(valueAt(t.right, Infinity, 0)), percent(valueAt(t.answered, Infinity, 0))]) },
  });
}

/* Where a linear axis of times ends: a few jobs that took very long shall not press all others against its left end. */
function timesEnd(task) {
  const most = task.answered.length > 0 ? task.answered[task.answered.length - 1][1] : 0;
  const nearly = task.answered.find(point => point[1] >= 0.95 * most);
  const end = Math.max(1.25 * (task.summary.deadline_ns || 0), nearly ? 1.25 * nearly[0] : 0);
  return end > 0 ? Math.min(end, 1.05 * Math.max(task.ended_by_ns, task.summary.deadline_ns || 0)) : 1.05 * task.ended_by_ns;
}

const rangeTable = rows => ({ head: ['', 'p50', 'p90', 'p99', 'p99.9', 'max'], rows: rows.map(r => [r.group + ' ' + r.label, ...['p50', 'p90', 'p99', 'p999', 'max'].map(k => duration(r.values[k]))]) });
const isMeasured = values => values && values.max !== null && values.max !== undefined;
const RANGE_KEY = 'Thick: median to p99; line and ring: the largest.';

function preemptionFigure(data) {
  const id = 'preemption', title = 'Blocking and switch', what = 'When a task loses its lane: how long the higher one waited for its block to end, and how long its own first block then took to begin. ' + RANGE_KEY;
  const rows = data.tasks.flatMap(({ summary: t }, i) => [['blocking', t.blocking_ns], ['switch', t.switch_ns]].filter(r => t.preemptions > 0 && isMeasured(r[1])).map(([label, values]) => ({ group: t.name, label, values, colour: label === 'switch' ? 'var(--axis)' : colourOf(i) })));
  if (rows.length === 0) return figure({ id, title, what, none: 'No job lost its lane to a higher one.' });
  return figure({ id, title, what, body: [drawing(title, (root, width) => rangeChart(root, width, rows))], table: rangeTable(rows) });
}

function noiseFigure(data) {
  const id = 'noise', title = 'Noise of the machine', noise = data.summary.noise || {};
  let what = 'How late a probe above all tasks woke up, which none of them can cause, beside the release jitter of the tasks. ' + RANGE_KEY;
  const rows = isMeasured(noise) ? [{ group: 'machine', label: 'noise', values: noise, colour: 'var(--c7)' }] : [];
  rows.push(...data.tasks.flatMap(({ summary: t }, i) => isMeasured(t.jitter_ns) && t.jitter_ns.max > 0 ? [{ group: t.name, label: 'jitter', values: t.jitter_ns, colour: colourOf(i) }] : []));
  if (!isMeasured(noise)) what = 'No probe ran (virtual time, or no CPU for it), so only the release jitter of the tasks is known. ' + RANGE_KEY;
  else what += ` ${count(noise.gaps)} gaps over ${duration(noise.gap_min_ns)}, ${duration(noise.gap_total_ns)} in all.` + (isOutranked(noise) ? ' ' + OUTRANKED : '');
  if (rows.length === 0) return figure({ id, title, what, none: 'Neither noise nor jitter was measured.' });
  return figure({ id, title, what, body: [drawing(title, (root, width) => rangeChart(root, width, rows))], table: rangeTable(rows) });
}

/* What latency.hlog holds beside responses: [heading, which tags, what a curve is called]. */
const TAILS = [
  ['blocking and switch', /^preemption\/(blocking|switch)$/],
  ['noise by processor', /^noise\/(cpu\d+)$/],
  ['release jitter', /^(.*)\/jitter$/],
];

function tailsFigure(data) {
  const id = 'tails', title = 'Delays, and how often they come', what = 'The share of values above a time, both axes logarithmic: of all preemptions the wait for the block and the switch after it, of the noise probe on each processor how late it woke up, and of each task how late its jobs woke up.';
  const groups = TAILS.map(([heading, tag]) => [heading, data.tails.filter(t => tag.test(t.tag)).map((t, i) => ({ ...t, name: t.tag.match(tag)[1], colour: colourOf(i) }))]).filter(g => g[1].length > 0);
  if (groups.length === 0) return figure({ id, title, what, none: 'There is no latency.hlog in the folder (outputs.hist: none), and this figure is drawn from it.' });
  const chart = (heading, tails) => (root, width) => {
    const drawn = tails.filter(t => t.ccdf), from = Math.max(100, Math.min(...drawn.map(t => t.least_ns)) * 0.9);
    return curveChart(root, width, {
      isLog: true, from, to: Math.max(...drawn.map(t => t.values[5]), from * 2) * 1.15, low: Math.pow(10, Math.floor(Math.log10(0.9 / Math.max(10, ...drawn.map(t => t.count))))),
      curves: drawn.map(t => ({ points: t.ccdf, startY: 1, colour: t.colour })),
      describe: at => [heading + ', longer than ' + duration(at), ...drawn.slice(0, 8).map(t => t.name + ': ' + percent(valueAt(t.ccdf, at, 1)))],
    });
  };
  return figure({
    id, title, what,
    body: [el('div', { class: 'panels' }, groups.filter(([, tails]) => tails.some(t => t.ccdf)).map(([heading, tails]) => el('div', {},
      panel(heading, 'var(--axis)', count(tails.reduce((sum, t) => sum + t.count, 0)) + ' values', drawing(heading, chart(heading, tails))), legend(tails.filter(t => t.ccdf).map(t => [stroke({ stroke: t.colour, 'stroke-width': 3 }), t.name])))))],
    table: { head: ['', 'Values', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max'], rows: groups.flatMap(g => g[1]).map(t => [t.tag, count(t.count), ...t.values.map(duration)]) },
  });
}

function partsFigure(data) {
  const id = 'parts', title = 'Where the time went', what = 'All responses of a task put together, by what its jobs did or waited for.';
  const total = t => Object.values(t.response_parts_ns || {}).reduce((sum, v) => sum + v, 0);
  const rows = data.tasks.map(t => t.summary).filter(t => total(t) > 0);
  if (rows.length === 0) return figure({ id, title, what, none: 'This run did not record it.' });
  const used = Object.keys(PARTS).filter(key => rows.some(t => t.response_parts_ns[key] > 0));
  return figure({
    id, title, what,
    body: [legend(used.map(key => [swatch(PARTS[key][1]), PARTS[key][0]])), drawing(title, (root, width) => shareChart(root, width, rows.map(t => {
      const causes = Object.entries(t.miss_causes || {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
      return { group: t.name, aside: causes.length > 0 ? 'misses by ' + causes.slice(0, 2).map(([c, n]) => c.replace(/_/g, ' ') + ' ' + n).join(', ') : '', parts: used.map(key => [PARTS[key][0], t.response_parts_ns[key], PARTS[key][1]]) };
    })))],
    table: { head: ['Task', ...used.map(key => PARTS[key][0])], rows: rows.map(t => [t.name, ...used.map(key => percent(t.response_parts_ns[key] / total(t)))]) },
  });
}

/* ---- the page ---- */

function footer(data) {
  const run = data.run || {}, machine = data.summary.machine || {};
  const facts = [machine.kernel && 'kernel ' + machine.kernel, machine.backends && 'networks by ' + machine.backends, run.sha256 && 'workload sha256 ' + run.sha256.slice(0, 16), run.command && [].concat(run.command).join(' ')];
  if (!data.run) facts.push('The folder has no run.json.');
  return facts.filter(Boolean).join(' \u00b7 ');
}

function page() {
  const data = JSON.parse(document.getElementById('data').textContent);
  const main = document.getElementById('main'), pair = (...both) => el('div', { class: 'pair' }, both);
  head(data);
  main.append(tiles(data), summaryTable(data), objectives(data), responseFigure(data), timelineFigure(data), missesFigure(data),
    exitsFigure(data), elasticFigure(data), stopsFigure(data), partsFigure(data), pair(preemptionFigure(data), noiseFigure(data)), tailsFigure(data));
  document.getElementById('foot').append(footer(data));
}

page();
