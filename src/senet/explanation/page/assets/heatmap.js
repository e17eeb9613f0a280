// Classes x channels as a heatmap on a canvas of its own: one cell for each pair, averaged where a pixel holds several.

function cellColors(table, rows, columns, colors, width, height) {
  const pixels = new ImageData(width, height);
  const ends = (count, size) => Array.from({ length: size + 1 }, (_, place) => Math.floor((place * count) / size));
  const [lines, places] = [ends(rows.length, height), ends(columns.length, width)];
  for (let y = 0; y < height; y++) {
    const bottom = Math.max(lines[y + 1], lines[y] + 1);
    for (let x = 0; x < width; x++) {
      const right = Math.max(places[x + 1], places[x] + 1);
      let [sum, count] = [0, 0];
      for (let line = lines[y]; line < bottom; line++) {
        for (let place = places[x]; place < right; place++) {
          const value = table.at(rows[line], columns[place]);
          if (!Number.isNaN(value)) {
            sum += value;
            count++;
          }
        }
      }
      const at = 4 * (y * width + x);
      if (!count) continue;
      const step = 3 * colors.step(sum / count);
      for (let hue = 0; hue < 3; hue++) pixels.data[at + hue] = colors.table[step + hue];
      pixels.data[at + 3] = 255;
    }
  }
  return pixels;
}

// The ends of the scale: of gates 0 to 1 where they lie within, else the range of the values.
function tableRange(table) {
  let [low, high] = [Infinity, -Infinity];
  for (let line = 0; line < table.rows; line++) {
    for (let column = 0; column < table.columns; column++) {
      const value = table.at(line, column);
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low > high ? [0, 1] : [low, high];
}

const cursor = { line: 0, place: 0 };

function drawHeatmap(stage, read) {
  const table = groupTable();
  if (!table) {
    missing(stage, absence());
    return {};
  }
  const [rows, columns] = [rowOrder(table), columnOrder(table)];
  const { names } = groups();
  const colors = scale(...tableRange(table), state.show === "d");
  const labels = rows.length <= 60 ? Math.min(130, Math.floor(stageWidth(stage) / 4)) : 0;
  const width = stageWidth(stage) - labels;
  const height = Math.min(640, Math.max(rows.length * (labels ? 16 : 1), 120));
  const canvas = el("canvas", {
    role: "img",
    "aria-label": `Heatmap: ${rows.length} ${groups().plural} by ${columns.length} channels; the numbers are below`,
  });
  fill(stage, canvas, scaleBar(colors));
  paint(canvas, labels + width, height, (ctx) => {
    const ratio = devicePixelRatio || 1;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    ctx.putImageData(cellColors(table, rows, columns, colors, across, down), Math.round(labels * ratio), 0);
    ctx.font = "12px system-ui, sans-serif";
    ctx.fillStyle = color("--ink");
    ctx.textBaseline = "middle";
    if (labels)
      rows.forEach((line, place) =>
        ctx.fillText(fit(ctx, names[line], labels - 8), 0, ((place + 0.5) * height) / rows.length),
      );
    const place = columns.findIndex((column) => table.channels[column] === state.channel);
    if (place >= 0) {
      ctx.strokeStyle = color("--ink");
      ctx.strokeRect(
        labels + (place * width) / columns.length - 0.5,
        0.5,
        Math.max(3, width / columns.length) + 1,
        height - 1,
      );
    }
  });
  const tell = () =>
    read(
      `${cut(names[rows[cursor.line]], 40)} \u00b7 channel ${table.channels[columns[cursor.place]]}: ${short(table.at(rows[cursor.line], columns[cursor.place]), 4)}`,
    );
  const aim = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - labels) / width;
    if (x < 0) return false;
    cursor.place = Math.min(columns.length - 1, Math.max(0, Math.floor(x * columns.length)));
    cursor.line = Math.min(
      rows.length - 1,
      Math.max(0, Math.floor(((event.clientY - box.top) / height) * rows.length)),
    );
    return true;
  };
  canvas.addEventListener("mousemove", (event) => aim(event) && tell());
  canvas.addEventListener("click", (event) => aim(event) && choose({ channel: table.channels[columns[cursor.place]] }));
  return {
    canvas: () => canvas,
    colors,
    title: `${row().name}: ${yLabel()}`,
    name: `senet-heatmap-${fileName(row().name)}`,
    move: (by, key) => {
      if (key.endsWith("Up") || key.endsWith("Down"))
        cursor.line = Math.max(0, Math.min(rows.length - 1, cursor.line + by));
      else
        cursor.place = Math.max(
          0,
          Math.min(columns.length - 1, columns.findIndex((column) => table.channels[column] === state.channel) + by),
        );
      const channel = table.channels[columns[cursor.place]];
      if (channel === state.channel) tell();
      else choose({ channel });
    },
    table: () => ({
      heads: [groups().word, ...columns.map((column) => `channel ${table.channels[column]}`)],
      rows: rows.map((line) => [names[line], ...columns.map((column) => table.written(table.at(line, column)))]),
    }),
  };
}

// An end of a scale; what is nothing beside its length is 0.
const endText = (value, { from, to }) => short(Math.abs(value) < 1e-4 * (to - from) ? 0 : value);

function scaleBar(colors) {
  const canvas = el("canvas", {
    role: "img",
    "aria-label": `Scale from ${endText(colors.from, colors)} to ${endText(colors.to, colors)}`,
  });
  paint(canvas, 320, 14, (ctx) => {
    Object.assign(ctx, { fillStyle: color("--ink"), font: "12px system-ui, sans-serif" });
    drawScale(ctx, colors, 0, 1);
  });
  return el("p", { class: "scale" }, canvas);
}

function setUpHeatmap() {
  let drawn = {};
  const { stage, read } = figure("heatmap", {
    keys: ["block", "by", "channel", "values", "sort", "rows"],
    title: "All classes and channels",
    about:
      "Each cell is the mean gate of one channel over the images of one class. Vertical stripes: channels that are open or shut for every class. Blocks: classes that share channels.",
    readout: "Point at a cell to read it; click to choose its channel.",
    controls: () => [
      chooser("Order of channels", Object.entries(SORTS), state.sort, (sort) => choose({ sort })),
      chooser("Order of classes", Object.entries(ROW_SORTS), state.rows, (rows) => choose({ rows })),
    ],
    draw: (place) => {
      drawn = drawHeatmap(place, (text) => read(text));
      return drawn;
    },
  });
  steps(stage, "Heatmap: arrow keys move from cell to cell", (by, key) => drawn.move?.(by, key));
}
