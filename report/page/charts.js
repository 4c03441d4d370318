/* Axes and the kinds of charts: curves, columns, ranges, parts of a whole. All are drawn into a given width. */
function linear(from, to, left, right) {
  return value => left + (value - from) / (to - from || 1) * (right - left);
}

function logarithmic(from, to, left, right) {
  const scale = linear(Math.log(from), Math.log(to), left, right);
  return value => scale(Math.log(Math.max(value, from)));
}

/* About n round values within [from, to]. */
function roundTicks(from, to, n) {
  const rough = (to - from) / n, power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map(k => k * power).find(s => s >= rough) || power;
  const ticks = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to * (1 + 1e-9); i++) ticks.push(i * step);
  return ticks;
}

function logTicks(from, to, n) {
  const all = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
    for (const k of [1, 2, 5]) all.push([k * Math.pow(10, power), k]);
  }
  const inside = all.filter(t => t[0] >= from * 0.999 && t[0] <= to * 1.001);
  const decades = inside.filter(t => t[1] === 1);
  const chosen = inside.length <= n ? inside : decades.length >= 2 ? decades : inside.filter((t, i) => i % 2 === 0);
  const every = Math.ceil(chosen.length / n);
  return chosen.filter((t, i) => i % every === 0).map(t => t[0]);
}

/* Powers of ten from 1 down to `low`, about n of them, and how they are said: all as percent, or all as powers. */
function shareTicks(low, n) {
  const decades = Math.round(-Math.log10(low)), every = Math.ceil(decades / n), ticks = [];
  for (let i = 0; i <= decades; i += every) ticks.push(Math.pow(10, -i));
  return ticks;
}

function shareText(low) {
  const raised = n => String(n).replace(/\d/g, d => '\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079'[d]);
  return share => low > 9e-6 ? digits(100 * share, 3) + '%' : share > 0.5 ? '1' : '10\u207b' + raised(Math.round(-Math.log10(share)));
}

const PAD = { left: 44, right: 12, top: 24, bottom: 26 };

function frame(root, width, height, xScale, xTicks, xText, yScale, yTicks, yText) {
  for (const tick of yTicks) {
    const y = yScale(tick);
    root.append(svg('line', { class: 'grid', x1: PAD.left, x2: width - PAD.right, y1: y, y2: y }));
    root.append(svg('text', { x: PAD.left - 6, y: y + 4, 'text-anchor': 'end' }, yText(tick)));
  }
  const bottom = height - PAD.bottom;
  root.append(svg('line', { class: 'axis', x1: PAD.left, x2: width - PAD.right, y1: bottom, y2: bottom }));
  let free = -1e9;
  for (const tick of xTicks) {
    const x = xScale(tick), text = xText(tick), half = 3.2 * text.length;
    if (x - half < free || x + half > width + 4) continue;
    free = x + half + 6;
    root.append(svg('line', { class: 'axis', x1: x, x2: x, y1: bottom, y2: bottom + 4 }));
    root.append(svg('text', { x, y: bottom + 17, 'text-anchor': 'middle' }, text));
  }
}

function deadlineLine(root, x, width, height, text) {
  root.append(svg('line', { class: 'deadline', x1: x, x2: x, y1: PAD.top - 6, y2: height - PAD.bottom }));
  root.append(svg('text', { class: 'bad', x: Math.min(x, width - 4 - 3.6 * text.length), y: PAD.top - 12, 'text-anchor': 'middle' }, text));
}

/* The last point at or before x of a curve [[x, y], ...] sorted by x; `before` when there is none. */
function valueAt(points, x, before) {
  let low = 0, high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle + 1; else high = middle;
  }
  return low > 0 ? points[low - 1][1] : before;
}

/* Stairs: y keeps its value up to the next point. */
function stairs(points, xScale, yScale, startX, startY, endX) {
  let path = `M${xScale(startX).toFixed(1)} ${yScale(startY).toFixed(1)}`;
  for (const [x, y] of points.filter(point => !endX || point[0] <= endX)) path += `H${xScale(x).toFixed(1)}V${yScale(y).toFixed(1)}`;
  return path + (endX ? `H${xScale(endX).toFixed(1)}` : '');
}

/* Curves over time with slices that tell their values. options: height, from, to, isLog (both axes), low (of y when
 * isLog), deadline, curves: [{ points, startY, colour, cls, endX }], describe(x) -> [title, ...lines], markLate. */
function curveChart(root, width, options) {
  const height = options.height || 220, right = width - PAD.right, bottom = height - PAD.bottom;
  const x = (options.isLog ? logarithmic : linear)(options.from, options.to, PAD.left, right);
  const y = options.isLog ? logarithmic(options.low, 1, bottom, PAD.top) : linear(0, 1, bottom, PAD.top);
  const yTicks = options.isLog ? shareTicks(options.low, 5) : [0, 0.25, 0.5, 0.75, 1];
  const xTicks = options.isLog ? logTicks(options.from, options.to, Math.floor(width / 62)) : roundTicks(options.from, options.to, Math.floor(width / 75));
  frame(root, width, height, x, xTicks, duration, y, yTicks, options.isLog ? shareText(options.low) : percent);
  if (options.deadline > 0 && options.deadline <= options.to) {
    if (options.markLate) root.append(svg('rect', { class: 'late', x: x(options.deadline), y: PAD.top - 4, width: Math.max(0, right - x(options.deadline)), height: bottom - PAD.top + 4 }));
    deadlineLine(root, x(options.deadline), width, height, 'D ' + duration(options.deadline));
  }
  const dots = [];
  for (const curve of options.curves) {
    root.append(svg('path', { class: 'curve ' + (curve.cls || ''), stroke: curve.colour, d: stairs(curve.points, x, y, options.from, curve.startY, curve.endX) }));
    const dot = svg('circle', { class: 'dot', r: 4.5, fill: curve.colour });
    dots.push([dot, curve]);
  }
  const slices = Math.max(8, Math.floor((right - PAD.left) / 14)), step = (right - PAD.left) / slices;
  for (let i = 0; i < slices; i++) {
    const share = (i + 0.5) / slices;
    const at = options.isLog ? options.from * Math.pow(options.to / options.from, share) : options.from + (options.to - options.from) * share;
    const hit = svg('rect', { class: 'hit', x: PAD.left + i * step, y: PAD.top - 4, width: step, height: bottom - PAD.top + 4 });
    const [title, ...lines] = options.describe(at);
    root.append(mark(hit, title, lines, on => {
      for (const [dot, curve] of dots) {
        dot.setAttribute('cx', x(at));
        dot.setAttribute('cy', y(valueAt(curve.points, at, curve.startY)));
        dot.style.opacity = on ? 1 : 0;
      }
    }));
  }
  root.append(...dots.map(d => d[0]));
  return height;
}

/* Columns, each a pile: options: height, columns: [{ pile: [[value, colour]], isGood (a thin
 * line says so where the pile is empty), low, high, title, lines }], most, yText,
 * xTicks: [[index, text]]. */
function columnChart(root, width, options) {
  const height = options.height || 170, right = width - PAD.right, bottom = height - PAD.bottom;
  const n = options.columns.length, y = linear(0, options.most, bottom, PAD.top), step = (right - PAD.left) / n;
  const gap = step > 12 ? Math.max(Math.min(8, step * 0.22), step - 56) : step > 4 ? 1 : 0;
  frame(root, width, height, i => PAD.left + (i + 0.5) * step, options.xTicks.map(t => t[0]),
    i => options.xTicks.find(t => t[0] === i)[1], y, roundTicks(0, options.most, 3), options.yText);
  options.columns.forEach((column, i) => {
    const left = PAD.left + i * step + gap / 2;
    let sum = 0;
    if (column.isGood) root.append(svg('rect', { x: left, width: Math.max(1, step - gap), y: bottom - 3, height: 3, fill: 'var(--good)', opacity: 0.55 }));
    for (const [value, colour] of column.pile) {
      if (value > 0) root.append(svg('rect', { x: left, width: Math.max(1, step - gap), y: Math.min(y(sum + value), bottom - 2), height: Math.max(2, y(sum) - y(sum + value)), fill: colour, rx: step > 12 ? 2 : 0 }));
      sum += value;
    }
    if (column.high !== undefined && step > 7) {
      const middle = left + (step - gap) / 2;
      root.append(svg('line', { class: 'whisker', x1: middle, x2: middle, y1: y(column.low), y2: y(Math.min(column.high, options.most)) }));
    }
    root.append(mark(svg('rect', { class: 'hit', x: PAD.left + i * step, width: step, y: PAD.top - 4, height: bottom - PAD.top + 4 }), column.title, column.lines));
  });
  return height;
}

/* Ranges on one logarithmic axis: rows: [{ group, label, colour, values: { p50, p90, p99, p999, max } }]. A thick bar
 * from the median to p99, a thin line to the largest. */
function rangeChart(root, width, rows) {
  const all = rows.flatMap(row => [row.values.p50, row.values.max]).filter(v => v > 0);
  const from = Math.max(100, Math.min(...all, 1e6) * 0.8), to = Math.max(...all, from * 10) * 1.25;
  const line = 38, height = PAD.top + rows.length * line + PAD.bottom;
  const x = logarithmic(from, to, 8, width - PAD.right);
  for (const tick of logTicks(from, to, Math.floor(width / 62))) {
    root.append(svg('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: PAD.top - 6, y2: height - PAD.bottom }));
    if (x(tick) < width - 18) root.append(svg('text', { x: x(tick), y: height - 9, 'text-anchor': x(tick) < 24 ? 'start' : 'middle' }, duration(tick)));
  }
  rows.forEach((row, i) => {
    const top = PAD.top + i * line, middle = top + 24, v = row.values;
    const label = svg('text', { x: 8, y: top + 11 });
    label.append(svg('tspan', { class: 'strong' }, row.group), svg('tspan', { dx: 6 }, row.label));
    label.firstChild.setAttribute('style', 'fill:var(--ink);font-weight:600');
    root.append(label);
    root.append(svg('line', { x1: x(v.p50), x2: x(v.max), y1: middle, y2: middle, stroke: row.colour, 'stroke-width': 2, opacity: 0.6 }));
    root.append(svg('rect', { x: x(v.p50), width: Math.max(3, x(v.p99) - x(v.p50)), y: middle - 5, height: 10, rx: 3, fill: row.colour }));
    root.append(svg('circle', { cx: x(v.max), cy: middle, r: 4, fill: 'var(--card)', stroke: row.colour, 'stroke-width': 2 }));
    root.append(mark(svg('rect', { class: 'hit', x: 0, width, y: top, height: line }), row.group + ' ' + row.label,
      ['median ' + duration(v.p50), 'p90 ' + duration(v.p90), 'p99 ' + duration(v.p99), 'p99.9 ' + duration(v.p999), 'largest ' + duration(v.max)]));
  });
  return height;
}

/* Bars of one length, each cut into shares: rows: [{ group, aside, parts: [[name, value, colour]] }]. */
function shareChart(root, width, rows) {
  const line = 42;
  rows.forEach((row, i) => {
    const top = i * line, whole = row.parts.reduce((sum, part) => sum + part[1], 0);
    root.append(svg('text', { class: 'strong', x: 0, y: top + 12 }, row.group));
    root.append(svg('text', { x: width, y: top + 12, 'text-anchor': 'end' }, row.aside));
    let left = 0;
    for (const [name, value, colour] of row.parts) {
      const size = value / whole * width;
      if (value > 0) root.append(mark(svg('rect', { x: left, width: Math.max(0.5, size - (size > 4 ? 1.5 : 0)), y: top + 18, height: 15, fill: colour, rx: size > 8 ? 3 : 0 }), row.group + ': ' + name, [percent(value / whole) + ' of all responses', duration(value) + ' in all']));
      left += size;
    }
  });
  return rows.length * line;
}
