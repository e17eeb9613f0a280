// Save a figure as PNG: with its title, its legend or scale, and what it was made from, on the background of the page.

const EDGE = 12;
const TITLE = 40;

function savePicture({ canvas, title, legend = [], colors, name }) {
  const ratio = devicePixelRatio || 1;
  const [across, down] = [canvas.width / ratio, canvas.height / ratio];
  const width = across + 2 * EDGE;
  const lines = legendLines(legend, across);
  const below = TITLE + down + 8;
  const out = el("canvas");
  paint(out, width, below + 20 * lines.length + (colors ? 24 : 0) + 26, (ctx, _, height) => {
    ctx.fillStyle = color("--paper");
    ctx.fillRect(0, 0, width, height);
    Object.assign(ctx, { fillStyle: color("--ink"), font: "600 15px system-ui, sans-serif" });
    ctx.fillText(fit(ctx, title, across), EDGE, 25);
    ctx.drawImage(canvas, EDGE, TITLE, across, down);
    Object.assign(ctx, { font: "12px system-ui, sans-serif" });
    lines.forEach((line, number) =>
      line.forEach(({ entry, x }) => drawEntry(ctx, entry, EDGE + x, below + 20 * number + 8)),
    );
    if (colors) drawScale(ctx, colors, EDGE, below);
    Object.assign(ctx, { fillStyle: color("--soft"), font: "11px system-ui, sans-serif" });
    ctx.fillText(fit(ctx, source(), across), EDGE, height - 10);
  });
  out.toBlob((blob) => {
    const link = el("a", { href: URL.createObjectURL(blob), download: `${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    announce(`Saved ${name}.png.`);
  });
}

function drawEntry(ctx, { label, color: stroke, dash = [], width = 2 }, x, y) {
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  segment(ctx, stroke, [x, y], [x + 28, y]);
  ctx.setLineDash([]);
  ctx.fillText(fit(ctx, label, 220), x + 34, y + 4);
}

function drawScale(ctx, colors, x, y) {
  const low = endText(colors.from, colors);
  const start = Math.round(x + ctx.measureText(low).width + 8); // whole pixels: parts of one would blend with the ground
  ctx.fillText(low, x, y + 10);
  for (let place = 0; place < 160; place++) {
    ctx.fillStyle = colors.css(colors.from + (place / 159) * (colors.to - colors.from));
    ctx.fillRect(start + place, y, 1, 12);
  }
  ctx.fillStyle = color("--ink");
  ctx.fillText(endText(colors.to, colors), start + 168, y + 10);
}

// The entries of a legend in lines of a width, each with its place in the line.
function legendLines(entries, width) {
  const ctx = el("canvas").getContext("2d");
  ctx.font = "12px system-ui, sans-serif";
  const lines = [];
  let x = width;
  for (const entry of entries) {
    const needed = 34 + Math.min(220, ctx.measureText(entry.label).width) + 18;
    if (x + needed > width) {
      lines.push([]);
      x = 0;
    }
    lines.at(-1).push({ entry, x });
    x += needed;
  }
  return lines;
}

// A text that is cut to a width in pixels.
function fit(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (ctx.measureText(text.slice(0, middle) + "\u2026").width <= width) low = middle;
    else high = middle - 1;
  }
  return text.slice(0, low) + "\u2026";
}
