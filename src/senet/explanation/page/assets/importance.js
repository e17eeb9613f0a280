// What each block is worth: the paired change of loss or top-1 when its gates are replaced, with 95 % intervals.

const CHANGES = {
  constant: ["constant: each channel's mean gate", "Nothing changes: the gate is static and can be folded away"],
  identity: ["identity: every gate 1", "Nothing changes: the block is not needed"],
  shuffle: ["shuffle: the gates of another image", "Nothing changes: the gates do not depend on the image"],
  class_mean: [
    "class mean: the mean gates of the image's class",
    "Nothing changes: within a class the gates do not matter",
  ],
};
const MEASURES = { loss: "loss [nats]", top1: "top-1 [percentage points]" };

// { name, parameters, marks: [{ letter, estimate: [d, low, high] }] } of every block that was tried.
function importanceRows() {
  return page.rows
    .map(({ name, blocks }) => ({
      name,
      block: blocks.find(Boolean),
      marks: [
        ...blocks.map((block, place) => ({
          letter: "ab"[place],
          block,
          estimate: block?.importance[state.change]?.[state.measure],
        })),
        {
          letter: "d",
          block: blocks.find(Boolean),
          estimate: blockDifference(blocks)?.importance?.[state.change]?.[state.measure],
        },
      ].filter(({ letter, estimate }) => estimate && (state.show === "d" || state.show === letter)),
    }))
    .filter(({ marks }) => marks.length);
}

const SHAPES = { a: "circle", b: "square", d: "diamond" };

function mark(ctx, letter, x, y) {
  if (letter === "a") ctx.arc(x, y, 4, 0, 7);
  else if (letter === "b") ctx.rect(x - 4, y - 4, 8, 8);
  else
    for (const [right, down] of [
      [5, 0],
      [0, 5],
      [-5, 0],
      [0, -5],
    ])
      ctx.lineTo(x + right, y + down);
}

// Round numbers from the least to the most, 0 among them where it lies between.
function ticks(least, most, count) {
  const rough = (most - least || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(least / step);
  return Array.from({ length: Math.floor(most / step) - first + 1 }, (_, place) => (first + place) * step);
}

const estimateText = ([change, low, high]) => `${signed(change)} [${signed(low)}, ${signed(high)}]`;

const costText = ({ parameters, time_percent: time }) =>
  `${whole(parameters)} parameters${time == null ? "" : `, ${short(time, 2)} % of the time`}`;

// Where the parts of a figure of this width stand: on a narrow one, the numbers above their interval.
function importanceLayout(rows, full) {
  const most = Math.max(...rows.map(({ marks }) => marks.length));
  const narrow = full < 620;
  const [left, right] = narrow ? [8, 8] : [240, most > 2 ? 250 : 190];
  const ends = rows.flatMap(({ marks }) => marks.flatMap(({ estimate }) => estimate));
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const room = (high - low || 1) * 0.05;
  return {
    narrow,
    left,
    right,
    full,
    low,
    high,
    step: narrow ? 40 + 30 * most : Math.max(34, 10 + 14 * most),
    x: (value) => left + ((full - left - right) * (value - low + room)) / (high - low + 2 * room),
    // of the mark of this number: middle of its interval, and of its text
    line: (number, count) => (narrow ? 56 + 30 * number : (number - (count - 1) / 2) * 14),
    text: (number, count) => (narrow ? 43 + 30 * number : (number - (count - 1) / 2) * 14),
  };
}

function drawImportanceRow(ctx, { name, block, marks }, top, { narrow, left, right, full, step, x, line, text }) {
  const [ink, soft, rule] = [color("--ink"), color("--soft"), color("--line")];
  const middle = narrow ? top : top + step / 2;
  segment(ctx, rule, [0, top + step - 0.5], [full, top + step - 0.5]);
  segment(ctx, soft, [x(0), narrow ? top + 50 : top], [x(0), top + step]);
  const room = narrow ? full - 8 : left - 12;
  ctx.textAlign = "left";
  Object.assign(ctx, { fillStyle: ink, font: `${name === state.block ? "600 " : ""}12px system-ui, sans-serif` });
  ctx.fillText(fit(ctx, name, room), 0, narrow ? top + 10 : middle - 7);
  Object.assign(ctx, { fillStyle: soft, font: "11px system-ui, sans-serif" });
  ctx.fillText(fit(ctx, costText(block), room), 0, narrow ? top + 26 : middle + 8);
  ctx.textAlign = "right";
  marks.forEach(({ letter, estimate }, number) => {
    const y = middle + line(number, marks.length);
    const { color: stroke } = letterLook(letter);
    ctx.lineWidth = 2;
    segment(ctx, stroke, [x(estimate[1]), y], [x(estimate[2]), y]);
    ctx.lineWidth = 1;
    ctx.fillStyle = stroke;
    ctx.beginPath();
    mark(ctx, letter, x(estimate[0]), y);
    ctx.fill();
    ctx.fillStyle = ink;
    const words = (marks.length > 1 ? `${MARK_NAMES[letter]} ` : "") + estimateText(estimate);
    ctx.fillText(fit(ctx, words, narrow ? full - 8 : right - 6), full, middle + text(number, marks.length));
  });
}

function segment(ctx, stroke, from, to) {
  ctx.strokeStyle = stroke;
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
}

function drawImportance(stage) {
  const rows = importanceRows();
  if (!rows.length) {
    missing(stage, "No interventions were run: `interventions=(...)` in Python.");
    return {};
  }
  const layout = importanceLayout(rows, stageWidth(stage));
  const { full, left, right, low, high, step, x } = layout;
  const height = rows.length * step + 30;
  const label = "Importance of the blocks, with intervals; the numbers are below";
  const canvas = el("canvas", { role: "img", "aria-label": label });
  fill(stage, canvas);
  paint(canvas, full, height, (ctx) => {
    ctx.textBaseline = "middle";
    rows.forEach((line, place) => drawImportanceRow(ctx, line, place * step, layout));
    Object.assign(ctx, { fillStyle: color("--soft"), textAlign: "center" });
    for (const tick of ticks(low, high, Math.max(2, (full - left - right) / 70))) {
      ctx.fillText(signed(tick), x(tick), height - 12);
    }
  });
  canvas.addEventListener("click", (event) => {
    const place = Math.floor((event.clientY - canvas.getBoundingClientRect().top) / step);
    if (rows[place]) choose({ block: rows[place].name });
  });
  return {
    canvas: () => canvas,
    title: `Change of ${MEASURES[state.measure]} under ${CHANGES[state.change]?.[0] ?? state.change}`,
    name: `senet-importance-${state.change}-${state.measure}`,
    legend: two()
      ? ["a", "b", "d"]
          .filter((letter) => rows.some(({ marks }) => marks.some((mark) => mark.letter === letter)))
          .map((letter) => ({
            label: `${SHAPES[letter]}: ${markModel(letter)}`,
            color: letterLook(letter).color,
          }))
      : [],
    table: () => ({
      heads: ["block", "model", "intervention", "measure", "change", "low", "high", "parameters"],
      rows: rows.flatMap(({ name, marks }) =>
        marks.map(({ letter, estimate, block }) => [
          name,
          letter === "d" ? "B - A" : modelName(letter),
          state.change,
          state.measure,
          ...estimate,
          block.parameters,
        ]),
      ),
    }),
  };
}

function setUpImportance() {
  const tried = Object.keys(CHANGES).filter((change) =>
    page.rows.some(({ blocks }) => blocks.some((block) => block?.importance[change])),
  );
  figure("importance", {
    keys: ["block", "change", "measure"],
    title: "Importance",
    about:
      "After minus before, on the same images, with a 95 % interval: a larger loss or a smaller top-1 means that the block was worth something.",
    controls: () =>
      tried.length > 0 && [
        chooser(
          "Gates replaced by",
          tried.map((change) => [change, CHANGES[change][0]]),
          state.change,
          (change) => choose({ change }),
        ),
        chooser("Measure", Object.entries(MEASURES), state.measure, (measure) => choose({ measure })),
        el("p", { class: "soft" }, `${CHANGES[state.change]?.[1] ?? ""}.`),
      ],
    draw: drawImportance,
  });
}
