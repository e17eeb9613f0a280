// Curves by uPlot, in the colours of the theme; a click or an arrow key chooses a place on the x axis.

const drawnPlots = new WeakMap(); // stage -> uPlot

function plot(stage, { data, series, bands = [], x, y, height = 300, range, marked, press, hover, points = false }) {
  drawnPlots.get(stage)?.destroy();
  const [ink, line, soft] = [color("--ink"), color("--line"), color("--soft")];
  const axis = {
    stroke: soft,
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1 },
    font: "12px system-ui, sans-serif",
    labelFont: "12px system-ui, sans-serif",
    labelSize: 18,
    labelGap: 0,
  };
  const mark = (u) => {
    const place = marked?.();
    if (place == null || place < 0) return;
    const left = Math.round(u.valToPos(place, "x", true));
    if (left < u.bbox.left || left > u.bbox.left + u.bbox.width) return;
    u.ctx.save();
    u.ctx.strokeStyle = ink;
    u.ctx.lineWidth = devicePixelRatio || 1;
    u.ctx.setLineDash([4, 4]);
    u.ctx.beginPath();
    u.ctx.moveTo(left, u.bbox.top);
    u.ctx.lineTo(left, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
    u.ctx.restore();
  };
  fill(stage);
  const made = new uPlot(
    {
      width: stageWidth(stage),
      height,
      legend: { show: false },
      pxAlign: false,
      padding: [8, 12, 0, 0],
      scales: { x: { time: false }, y: { range: range ?? padded } },
      axes: [
        { ...axis, label: x.label, values: x.values ?? null, space: 56, size: 32 },
        { ...axis, label: y.label, size: 56, values: (u, ticks) => ticks.map((tick) => short(tick, 4)) },
      ],
      series: [
        {},
        ...series.map((entry) => ({ width: 1.5, spanGaps: false, points: { show: points, size: 6 }, ...entry })),
      ],
      bands,
      cursor: { drag: { x: true, y: false, dist: 8 }, points: { size: 6 }, y: false },
      hooks: { draw: [mark], setCursor: [(u) => hover?.(u.cursor.idx ?? null)] },
    },
    data,
    stage,
  );
  if (press) made.over.addEventListener("click", () => made.cursor.idx != null && press(made.cursor.idx));
  drawnPlots.set(stage, made);
  return made;
}

const stageWidth = (stage) => Math.max(240, Math.floor(stage.clientWidth));

function padded(u, low, high) {
  if (low == null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room];
}

const plotCanvas = (stage) => drawnPlots.get(stage).ctx.canvas;

// A box that takes the keyboard: left and right move by one, with Shift by ten.
function steps(stage, label, step) {
  Object.assign(stage, { tabIndex: 0 });
  stage.setAttribute("role", "group");
  stage.setAttribute("aria-label", label);
  stage.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    step(event.shiftKey ? 10 * by : by, event.key);
  });
}
