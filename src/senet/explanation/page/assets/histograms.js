// How often each value of the gate occurs: in the chosen block, and block by block.

function drawHistogram(stage) {
  const found = shown().filter(({ block }) => block.histogram?.counts?.some((count) => count > 0));
  if (!found.length) {
    missing(stage, "There is no histogram of this block.");
    return {};
  }
  const { edges } = found[0].block.histogram;
  const same = found.filter(({ block }) => String(block.histogram.edges) === String(edges));
  const shares = same.map(({ block }) => {
    const total = block.histogram.counts.reduce((sum, count) => sum + count, 0);
    return block.histogram.counts.map((count) => count / total);
  });
  const middles = edges.slice(1).map((edge, place) => (edge + edges[place]) / 2);
  const only = same.length === 1;
  plot(stage, {
    data: [middles, ...shares],
    height: 220,
    range: (u, low, high) => [0, high * 1.08 || 1],
    x: { label: "gate" },
    y: { label: "share of gates" },
    series: same.map(({ letter }) => ({
      stroke: letterLook(letter).color,
      dash: only ? [] : letterLook(letter).dash,
      width: only ? 0 : 1.5,
      fill: only ? letterLook(letter).color : null,
      paths: only ? uPlot.paths.bars({ size: [0.9, Infinity] }) : uPlot.paths.stepped({ align: 0 }),
    })),
  });
  return {
    legend: only ? [] : same.map(({ letter }) => ({ label: markModel(letter), ...letterLook(letter) })),
    canvas: () => plotCanvas(stage),
    title: `${row().name}: gates of all channels and images`,
    name: `senet-histogram-${fileName(row().name)}`,
    table: () => ({
      heads: ["from", "to", ...same.map(({ letter }) => withModel("gates", letter))],
      rows: middles.map((_, place) => [
        edges[place],
        edges[place + 1],
        ...same.map(({ block }) => block.histogram.counts[place]),
      ]),
    }),
  };
}

// Histograms of all blocks, one line each, in the order of the network.
function drawDepth(stage) {
  const letter = state.show === "b" ? "b" : "a";
  const found = page.rows
    .map(({ name, blocks }) => ({ name, histogram: blocks["ab".indexOf(letter)]?.histogram }))
    .filter(({ histogram }) => histogram?.counts?.length);
  if (!found.length) {
    missing(stage, "There are no histograms.");
    return {};
  }
  const bins = found[0].histogram.counts.length;
  const low = found[0].histogram.edges[0];
  const high = found[0].histogram.edges.at(-1);
  const same = found.filter(
    ({ histogram }) =>
      histogram.counts.length === bins && histogram.edges[0] === low && histogram.edges.at(-1) === high,
  );
  const shares = same.map(({ histogram: { counts } }) => {
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    return counts.map((count) => count / total);
  });
  const table = { at: (line, column) => Math.sqrt(shares[line][column]) }; // so that small shares are seen, too
  const colors = scale(0, Math.sqrt(Math.max(...shares.flat())), false);
  const labels = Math.min(150, Math.floor(stageWidth(stage) / 3));
  const width = stageWidth(stage) - labels;
  const height = Math.max(60, 20 * same.length);
  const canvas = el("canvas", {
    role: "img",
    "aria-label": "Gates by depth: a histogram for each block; the numbers are below",
  });
  fill(stage, canvas);
  paint(canvas, labels + width, height + 24, (ctx) => {
    const ratio = devicePixelRatio || 1;
    const every = (count) => Array.from({ length: count }, (_, place) => place);
    ctx.putImageData(
      cellColors(table, every(same.length), every(bins), colors, Math.round(width * ratio), Math.round(height * ratio)),
      Math.round(labels * ratio),
      0,
    );
    ctx.textBaseline = "middle";
    same.forEach(({ name }, place) => {
      ctx.font = `${name === state.block ? "600 " : ""}12px system-ui, sans-serif`;
      ctx.fillStyle = color("--ink");
      ctx.fillText(fit(ctx, name, labels - 8), 0, ((place + 0.5) * height) / same.length);
      ctx.strokeStyle = color("--ink");
      if (name === state.block)
        ctx.strokeRect(labels + 0.5, (place * height) / same.length + 0.5, width - 1, height / same.length - 1);
    });
    ctx.font = "12px system-ui, sans-serif";
    ctx.fillStyle = color("--soft");
    for (const [share, align] of [
      [0, "left"],
      [0.5, "center"],
      [1, "right"],
    ]) {
      ctx.textAlign = align;
      ctx.fillText(short(low + share * (high - low)), labels + share * width, height + 14);
    }
  });
  canvas.addEventListener("click", (event) => {
    const place = Math.floor(((event.clientY - canvas.getBoundingClientRect().top) / height) * same.length);
    if (same[place]) choose({ block: same[place].name });
  });
  return {
    canvas: () => canvas,
    title: "Gates by depth",
    name: "senet-depth",
    table: () => ({
      heads: [
        "block",
        ...Array.from(
          { length: bins },
          (_, place) =>
            `${short(found[0].histogram.edges[place], 4)} to ${short(found[0].histogram.edges[place + 1], 4)}`,
        ),
      ],
      rows: same.map(({ name, histogram }) => [name, ...histogram.counts]),
    }),
  };
}

function setUpHistograms() {
  figure("histogram", {
    keys: ["block"],
    title: "Gates of this block",
    about: "All channels and images. Heaps at the ends: saturated gates; one narrow heap: a gate that hardly varies.",
    draw: drawHistogram,
  });
  figure("depth", {
    keys: ["block"],
    title: "Gates by depth",
    about: "A histogram for each block, from the first to the last; darker (in dark mode: lighter) means more gates.",
    draw: drawDepth,
  });
}
