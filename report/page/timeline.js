/* The schedule around the worst job: of every task a row of its processor and a row of its lane, with preprocessing,
 * network blocks, exits and postprocessing; releases point up, deadlines down. */
const ROW = 24, ARROWS = 15, GROUP_GAP = 30, PHASES = {
  pre: ['var(--pre)', 'preprocess, other CPU work'], conv: ['var(--conv)', 'network block'],
  branch: ['var(--branch)', 'exit'], post: ['var(--post)', 'postprocess'],
};

/* A stage on the processor comes before or after the network of its job. */
function phaseOf(span, networkStage) {
  return networkStage === undefined || span.stage_idx < networkStage ? 'pre' : 'post';
}

/* Where jobs lost their lane: between two blocks of a job when another task's block began on that lane meanwhile, and
 * behind the last block of a job that ended because of it. */
function preemptionsOf(spans, jobs, taskName) {
  const blocks = spans.filter(s => s.kind === 'conv' || s.kind === 'branch').sort((a, b) => a.start - b.start);
  const byJob = new Map(), found = [];
  for (const block of blocks) {
    const key = block.task + '/' + block.job;
    const before = byJob.get(key);
    if (before && block.start > before.end) {
      const other = blocks.find(b => b.lane === before.lane && b.task !== block.task && b.start >= before.end && b.start < block.start);
      if (other) found.push({ task: block.task, job: block.job, at: before.end, by: taskName(other.task) });
    }
    byJob.set(key, block);
  }
  for (const job of jobs) {
    const last = byJob.get(job.task + '/' + job.job);
    if (job.cause === 'preempted' && last) found.push({ task: job.task, job: job.job, at: last.end, by: job.by, ends: true });
  }
  return found;
}

function jobLines(job) {
  const lines = [job.outcome + (job.missed ? ', after its deadline' : '') + ' (' + job.cause.replace(/_/g, ' ') + ')'];
  if (job.finish !== undefined) lines.push('response ' + duration(job.finish) + (job.deadline !== undefined ? ' of ' + duration(job.deadline) : ''));
  if (job.start !== undefined && job.start > 0) lines.push('started ' + duration(job.start) + ' after its release');
  if (job.exit !== undefined) lines.push('answer of exit ' + (job.exit + 1) + ' after ' + duration(job.answer));
  if (job.preemptions) lines.push('lost the lane ' + job.preemptions + (job.preemptions > 1 ? ' times' : ' time') + (job.by ? ' to ' + job.by : ''));
  return lines;
}

function waiting(from, to, y, colour) {
  return svg('line', { x1: from, x2: to, y1: y, y2: y, stroke: colour, 'stroke-width': 1.5, 'stroke-dasharray': '2 2' });
}

function arrow(x, from, to, cls, colour) {
  const head = to < from ? 5 : -5;
  const group = svg('g', { stroke: colour, fill: colour, class: cls });
  group.append(svg('line', { x1: x, x2: x, y1: from, y2: to, 'stroke-width': 1.5 }),
    svg('path', { d: `M${x} ${to}l-3.5 ${head}h7z`, stroke: 'none' }));
  return group;
}

/* Tasks that have something in the stretch, highest priority first, and where their rows are. */
function layOut(data, timeline) {
  let top = 26;
  const seen = new Set([...timeline.jobs, ...timeline.spans].map(item => item.task));
  const order = data.tasks.map((task, i) => i).filter(i => seen.has(i))
    .sort((a, b) => data.tasks[b].summary.priority - data.tasks[a].summary.priority);
  const rows = order.map(i => {
    const lanes = [...new Set(timeline.spans.filter(s => s.task === i && s.lane).map(s => s.lane))];
    const row = { task: i, lanes, top, cpu: top + 18 + ARROWS, bottom: 0 };
    row.lane = row.cpu + ROW + 6;
    row.bottom = lanes.length > 0 ? row.lane + ROW : row.cpu + ROW;
    top = row.bottom + GROUP_GAP;
    return row;
  });
  return { rows, height: top + 8 };
}

function drawTimeline(root, width, data, timeline) {
  const layout = layOut(data, timeline), x = linear(timeline.from, timeline.to, 6, width - 6);
  const clip = time => Math.min(Math.max(time, timeline.from), timeline.to);
  const worst = timeline.worst, bottom = layout.height - 24, zero = worst.release;
  const name = i => data.tasks[i].summary.name;
  const inside = time => time >= timeline.from && time <= timeline.to;

  const worstEnd = clip(zero + Math.max(worst.finish || 0, worst.deadline || 0));
  root.append(svg('rect', { x: x(clip(zero)), width: Math.max(1, x(worstEnd) - x(clip(zero))), y: 6, height: bottom - 6, fill: 'var(--ink)', opacity: 0.035 }));
  for (const tick of roundTicks(timeline.from - zero, timeline.to - zero, Math.floor(width / 95))) {
    const at = x(tick + zero);
    root.append(svg('line', { class: 'grid', x1: at, x2: at, y1: 6, y2: bottom }));
    if (at > 20 && at < width - 24) root.append(svg('text', { x: at, y: bottom + 16, 'text-anchor': 'middle' }, duration(tick)));
  }
  root.append(svg('line', { class: 'axis', x1: 6, x2: width - 6, y1: bottom, y2: bottom }));

  for (const row of layout.rows) {
    const title = svg('text', { class: 'strong title', x: 6, y: row.top + 9 }, name(row.task));
    title.append(svg('tspan', { dx: 6, style: 'fill:var(--soft);font-weight:400' }, row.lanes.length > 0 ? 'processor above, lane ' + row.lanes.join(', ') + ' below' : 'processor'));
    root.append(title);
    const lines = row.lanes.length > 0 ? [row.cpu + ROW, row.lane + ROW] : [row.cpu + ROW];
    for (const y of lines) root.append(svg('line', { class: 'axis', x1: 6, x2: width - 6, y1: y, y2: y }));
  }

  const rowOf = new Map(layout.rows.map(row => [row.task, row]));
  const network = new Map();
  for (const span of timeline.spans) if (span.kind !== 'cpu') network.set(span.task, span.stage_idx);
  const jobs = new Map(timeline.jobs.map(job => [job.task + '/' + job.job, job]));
  const box = (span, y, height, attributes) => {
    const left = x(clip(span.start)), right = x(clip(span.end));
    return svg('rect', { x: left, width: Math.max(1, right - left), y, height, ...attributes });
  };

  /* What ran. Without stages.csv all that is known is when each job began and ended. */
  const items = [];
  if (!timeline.has_stages) {
    for (const job of timeline.jobs) {
      if (job.finish === undefined) continue;
      const row = rowOf.get(job.task), span = { start: job.release + (job.start || 0), end: job.release + job.finish };
      items.push([span.start, box(span, row.cpu + 4, ROW - 4, { fill: 'var(--pre)', 'fill-opacity': 0.45, stroke: 'var(--pre)', rx: 2 }),
        name(job.task) + ' job ' + job.job, jobLines(job)]);
      if (job.answer !== undefined && inside(job.release + job.answer)) {
        items.push([job.release + job.answer, svg('circle', { cx: x(job.release + job.answer), cy: row.cpu + ROW / 2 + 2, r: 3.5, fill: 'var(--branch)' }),
          name(job.task) + ' job ' + job.job + ': answer', ['of exit ' + (job.exit + 1), duration(job.answer) + ' after the release']]);
      }
    }
  }
  for (const span of timeline.spans) {
    const row = rowOf.get(span.task), isBlock = span.kind === 'conv' || span.kind === 'branch';
    const job = jobs.get(span.task + '/' + span.job), since = job ? job.release : zero;
    const lines = ['job ' + span.job, duration(span.end - span.start) + ', from ' + duration(span.start - since) + ' to ' + duration(span.end - since) + ' after its release'];
    if (span.kind === 'nn') {
      if (span.ready !== undefined && span.start > span.ready) {
        root.append(waiting(x(clip(span.ready)), x(clip(span.start)), row.cpu + ROW - 4, 'var(--conv)'));
        lines.push('waited ' + duration(span.start - span.ready) + ' for its lane');
      }
      items.push([span.start, box(span, row.cpu + ROW - 7, 6, { fill: 'var(--conv)', 'fill-opacity': 0.22 }), name(span.task) + ': ' + span.stage, ['network; its blocks are below', ...lines]]);
      continue;
    }
    const phase = isBlock ? span.kind : phaseOf(span, network.get(span.task));
    if (!isBlock && span.ready !== undefined && span.start - span.ready > 0) {
      root.append(waiting(x(clip(span.ready)), x(clip(span.start)), row.cpu + ROW - 4, PHASES[phase][0]));
      lines.push('waited ' + duration(span.start - span.ready) + ' before');
    }
    if (span.cpu_ns !== undefined) lines.push(duration(span.cpu_ns) + ' of processor time' + (span.cpu !== undefined ? ', CPU ' + span.cpu : ''));
    if (span.lane) lines.push('lane ' + span.lane);
    if (span.kind === 'branch' && span.confidence !== undefined) lines.push('confidence ' + span.confidence);
    const what = span.kind === 'branch' ? 'exit ' + (span.block + 1) : span.kind === 'conv' ? 'block ' + (span.block + 1) : span.stage;
    const isWorst = span.task === worst.task && span.job === worst.job;
    const shape = box(span, isBlock ? row.lane + 4 : row.cpu + 4, ROW - 4, { fill: PHASES[phase][0], rx: 2, ...(isWorst ? { stroke: 'var(--ink)' } : {}) });
    items.push([span.start, shape, name(span.task) + ': ' + what, lines]);
    if (span.kind === 'branch' && x(clip(span.end)) - x(clip(span.start)) > 14) {
      root.append(svg('text', { class: 'inside', 'data-over': '1', x: (x(clip(span.start)) + x(clip(span.end))) / 2, y: row.lane + 18, 'text-anchor': 'middle' }, span.block + 1));
    }
  }

  for (const job of timeline.jobs) {
    const row = rowOf.get(job.task), top = row.cpu - ARROWS + 2;
    const isWorst = job.task === worst.task && job.job === worst.job;
    if (inside(job.release)) {
      items.push([job.release, arrow(x(job.release), row.cpu + ROW, top, '', isWorst ? 'var(--ink)' : 'var(--soft)'),
        name(job.task) + ' job ' + job.job + ' released' + (isWorst ? ' (the worst job)' : ''), jobLines(job)]);
    }
    if (job.deadline !== undefined && inside(job.release + job.deadline)) {
      items.push([job.release + job.deadline, arrow(x(job.release + job.deadline), top, row.cpu + ROW - 1, '', 'var(--bad)'),
        name(job.task) + ' job ' + job.job + ': deadline', [duration(job.deadline) + ' after its release', ...jobLines(job)]]);
    }
    if (isWorst && job.finish !== undefined && inside(job.release + job.finish)) {
      const at = x(job.release + job.finish), label = job.missed ? duration(job.finish - job.deadline) + ' late' : 'finished';
      root.append(svg('line', { x1: at, x2: at, y1: row.top + 14, y2: row.bottom, stroke: job.missed ? 'var(--bad)' : 'var(--ink)', 'stroke-width': 1.5 }));
      root.append(svg('text', { class: job.missed ? 'bad' : 'strong', x: at + (at > width - 90 ? -5 : 5), y: row.top + 9, 'text-anchor': at > width - 90 ? 'end' : 'start' }, label));
    }
  }
  for (const lost of timeline.has_stages ? preemptionsOf(timeline.spans, timeline.jobs, name) : []) {
    if (!inside(lost.at)) continue;
    const row = rowOf.get(lost.task), at = x(lost.at);
    items.push([lost.at, svg('path', { class: 'preempted', d: `M${at} ${row.lane + ROW + 1}l-5 8h10z`, fill: 'var(--bad)' }),
      name(lost.task) + ' job ' + lost.job + ' preempted', ['lost the lane' + (lost.by ? ' to ' + lost.by : ''), lost.ends ? 'and ended with the answer it had' : 'and went on later']]);
  }

  items.sort((a, b) => a[0] - b[0]);
  for (const [, shape, title, lines] of items) root.append(mark(shape, title, lines));
  for (const text of [...root.querySelectorAll('[data-over]')]) root.append(text);
  return layout.height;
}

/* Wide enough to tell the jobs of the busiest task apart. */
function widest(timeline) {
  const jobs = new Map();
  for (const job of timeline.jobs) jobs.set(job.task, (jobs.get(job.task) || 0) + 1);
  return Math.min(6000, Math.max(720, 15 * Math.max(...jobs.values())));
}

/* What to scroll to first: the middle, where the worst job is, or the end of one that lasted very long. */
function centreOf(timeline) {
  const worst = timeline.worst;
  if (!(worst.finish > 3 * worst.deadline)) return 0.5;
  return (worst.release + worst.finish - timeline.from) / (timeline.to - timeline.from);
}

function timelineFigure(data) {
  const timeline = data.timeline && { ...data.timeline, has_stages: data.timeline.spans.length > 0 }, id = 'timeline', title = 'The schedule around the worst job';
  if (!data.has_jobs) return figure({ id, title, what: 'What ran when.', none: NO_JOBS });
  if (!timeline) return figure({ id, title, what: 'What ran when.', none: 'No job was released after the warm-up.' });
  const worst = timeline.worst, task = data.tasks[worst.task].summary.name;
  const response = worst.finish !== undefined ? `, response ${duration(worst.finish)}` + (worst.deadline !== undefined ? ` of ${duration(worst.deadline)}` : '') : '';
  const why = worst.missed ? 'finished latest in relation to its deadline' : worst.outcome === 'completed'
    ? 'came closest to its deadline; none finished late' : 'was ' + worst.outcome + ' (' + worst.cause.replace(/_/g, ' ') + ')';
  let what = `Job ${worst.job} of ${task} ${why}${response}. Time 0 is its release, ${duration(worst.release)} into the run.`;
  if (!timeline.has_stages) what += (data.timeline.has_stages ? ' stages.csv has nothing of these jobs' : ' There is no stages.csv in the folder') + ', so bars reach from the start to the finish of each job: what ran inside them is not known.';
  if (timeline.is_cut) what += ' More happened here than is drawn: the rest is in jobs.csv and stages.csv.';
  const entries = timeline.has_stages
    ? Object.values(PHASES).map(([colour, text]) => [swatch(colour), text]).concat([
      [stroke({ stroke: 'var(--pre)', 'stroke-width': 1.5, 'stroke-dasharray': '2 2' }), 'waiting'],
      [() => [svg('rect', { x: 1.5, y: 1.5, width: 13, height: 9, rx: 2, fill: 'none', stroke: 'var(--ink)' })], 'the worst job'],
      [() => [svg('path', { d: 'M8 1l-5 9h10z', fill: 'var(--bad)' })], 'preempted']])
    : [[swatch('var(--pre)'), 'from start to finish'], [() => [svg('circle', { cx: 8, cy: 6, r: 3.5, fill: 'var(--branch)' })], 'answer']];
  entries.push([() => [arrow(8, 12, 0, '', 'var(--soft)')], 'release'], [() => [arrow(8, 0, 12, '', 'var(--bad)')], 'deadline']);
  return figure({
    id, title, what,
    body: [legend(entries), drawing(title, (root, width) => drawTimeline(root, width, data, timeline), widest(timeline), centreOf(timeline))],
    table: {
      head: ['Task', 'Job', 'Released', 'Response', 'Deadline', 'Outcome', 'Exit', 'Preempted by'], left: [5, 7],
      rows: timeline.jobs.map(job => [data.tasks[job.task].summary.name, job.job, duration(job.release - worst.release), duration(job.finish),
        duration(job.deadline), job.outcome + (job.missed ? ', late' : ''), job.exit === undefined ? '-' : job.exit + 1, job.by || '-']),
    },
  });
}
