// Copy a table as CSV, save a picture as PNG.

// A spreadsheet must not take a name for a formula.
function csvCell(value) {
  if (value == null || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv = ({ heads, rows }) =>
  [heads.map((head) => csvCell(head)), ...rows.map((line) => line.map(csvCell))]
    .map((line) => line.join(","))
    .join("\n") + "\n";

async function copyTable(table) {
  const text = csv(table);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // a browser that does not trust pages from disk
    const box = el("textarea", { class: "away", "aria-hidden": "true" });
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  announce(`Copied ${whole(table.rows.length)} rows as CSV.`);
}

// A picture with its title, its legend and what it was made from, on the background of the page.
function savePicture({ canvas, title, legend = [], name }) {
  const ratio = devicePixelRatio || 1;
  const width = canvas.width / ratio;
  const lines = legendLines(legend, width - 24);
  const height = 40 + canvas.height / ratio + 20 * lines.length + 30;
  const out = el("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const ctx = out.getContext("2d");
  ctx.scale(ratio, ratio);
  ctx.fillStyle = color("--paper");
  ctx.fillRect(0, 0, width, height);
  ctx.fillStyle = color("--ink");
  ctx.font = "600 15px system-ui, sans-serif";
  ctx.fillText(fit(ctx, title, width - 24), 12, 25);
  ctx.drawImage(canvas, 0, 40, width, canvas.height / ratio);
  lines.forEach((line, number) => {
    for (const { entry, x } of line) {
      const y = 40 + canvas.height / ratio + 20 * number + 12;
      Object.assign(ctx, { strokeStyle: entry.color, lineWidth: entry.width ?? 2 });
      ctx.setLineDash(entry.dash ?? []);
      ctx.beginPath();
      ctx.moveTo(x, y - 4);
      ctx.lineTo(x + 28, y - 4);
      ctx.stroke();
      ctx.font = "12px system-ui, sans-serif";
      ctx.fillText(fit(ctx, entry.label, 220), x + 34, y);
    }
  });
  ctx.fillStyle = color("--soft");
  ctx.font = "11px system-ui, sans-serif";
  ctx.fillText(fit(ctx, source(), width - 24), 12, height - 10);
  out.toBlob((blob) => {
    const link = el("a", { href: URL.createObjectURL(blob), download: `${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    announce(`Saved ${name}.png.`);
  });
}

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
    lines.at(-1).push({ entry, x: 12 + x });
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

const modelName = (letter) => page.models["ab".indexOf(letter)].name;

// A model, or the difference of two, in a legend: two networks may have one name.
const MARK_NAMES = { a: "A", b: "B", d: `B ${MINUS} A` };
const markModel = (letter) =>
  !two() ? modelName("a") : letter === "d" ? MARK_NAMES.d : `${MARK_NAMES[letter]}, ${modelName(letter)}`;

// The data in words: what is not known is not said.
const dataName = () => [page.data.name, page.data.split].filter(Boolean).join(" ");

// What a picture was made from, in one line.
function source() {
  const model = state.show === "d" ? `${modelName("b")} ${MINUS} ${modelName("a")}` : modelName(state.show);
  return `senet explain: ${[model, dataName(), `${whole(page.data.images)} images`].filter(Boolean).join(", ")}`;
}
