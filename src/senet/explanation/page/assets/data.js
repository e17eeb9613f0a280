// The data of the page: one JSON text, and arrays that it refers to by their place among compressed parts.

let page; // see head.py and content.py: models, rows, classes, images, definitions, notes
let parts = []; // bytes of each part

async function load() {
  page = JSON.parse(byId("data").textContent);
  const packed = Uint8Array.from(atob(byId("parts").textContent.trim()), (letter) => letter.charCodeAt(0));
  let start = 0;
  parts = await Promise.all(page.parts.map((length) => inflate(packed.subarray(start, (start += length)))));
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// One array of a block: `at(row, column)`. Codes of 8 or 16 bits stand for a place between the ends of their column,
// the largest code for "no number".
function unpack({ part, form, shape: [rows, columns], channels = null }) {
  const buffer = parts[part].buffer;
  const chosen = channels ?? Array.from({ length: columns }, (_, column) => column);
  const base = { rows, columns, channels: chosen, whole: channels === null, written: (value) => written(value, form) };
  if (form === "float32" || form === "int32") {
    const values = form === "int32" ? new Int32Array(buffer) : new Float32Array(buffer);
    return { ...base, at: (row, column) => values[row * columns + column] };
  }
  const low = new Float32Array(buffer, 0, columns);
  const high = new Float32Array(buffer, 4 * columns, columns);
  const codes = form === "uint16" ? new Uint16Array(buffer, 8 * columns) : new Uint8Array(buffer, 8 * columns);
  const top = form === "uint16" ? 65534 : 254;
  const at = (row, column) => {
    const code = codes[row * columns + column];
    return code > top ? NaN : low[column] + ((high[column] - low[column]) * code) / top;
  };
  return { ...base, at };
}

// A number as its table can tell it: no digit that its bits do not hold.
const DIGITS = { uint8: 4, uint16: 6, difference: 7 };

function written(value, form) {
  if (Number.isNaN(value)) return null;
  return Number(form === "float32" ? digits(value) : value.toPrecision(DIGITS[form]));
}

const unpacked = new Map();

function array(block, name) {
  const place = block?.arrays[name];
  if (!place) return null;
  if (!unpacked.has(place.part)) unpacked.set(place.part, unpack(place));
  return unpacked.get(place.part);
}

// The numbers of one channel statistic, such as "information".
function channelNumbers(block, name) {
  const table = array(block, "channels");
  const row = page.channel_statistics.indexOf(name);
  return table && row >= 0 ? Array.from({ length: table.columns }, (_, channel) => table.at(row, channel)) : null;
}

const two = () => page.models.length === 2;

const row = () => page.rows.find(({ name }) => name === state.block) ?? page.rows[0];

// The blocks that are shown, with the letter of their model.
function shown() {
  const { blocks } = row();
  const letters = state.show === "d" ? ["a", "b"] : [state.show];
  return letters.map((letter) => ({ letter, block: blocks["ab".indexOf(letter)] })).filter(({ block }) => block);
}

const statistic = (block, path) => path.split(".").reduce((value, key) => value?.[key], block?.statistics) ?? null;

// The paired difference of two models' blocks with its intervals, where the explanation states it.
function blockDifference(blocks) {
  return page.differences?.blocks?.find(({ a, b }) => a === blocks[0]?.name && b === blocks[1]?.name) ?? null;
}

// A list, one number for each hidden layer, is worth its largest where one number is needed.
const single = (value) => (Array.isArray(value) ? Math.max(...value) : typeof value === "number" ? value : null);

// What a strip shows of a row: the statistic of the model, or the difference of the two models.
function rowValue({ blocks }, path) {
  const values = blocks.map((block) => single(statistic(block, path)));
  if (state.show === "d") return values[0] == null || values[1] == null ? null : values[1] - values[0];
  return values["ab".indexOf(state.show)] ?? null;
}

// What the rows of the class tables are: classes, or the groups of a condition such as brightness.
function groups() {
  if (state.by === "class")
    return { word: "class", plural: "classes", names: page.classes, counts: page.data.images_per_class };
  const condition = state.by.slice("condition.".length);
  const { groups: names, counts } = shown()[0]?.block.conditions[condition] ?? { groups: [], counts: [] };
  return { word: condition, plural: `groups of ${condition}`, names, counts };
}

// The name of the chosen table: gates or logits by class, gates by condition.
function tableName(kind) {
  if (state.by !== "class") return kind === "mean" ? state.by : null;
  return `${state.values === "logits" ? "logit" : "class"}_${kind}`;
}

// Means (or standard deviations) by class of what is chosen, of one model or the difference of two.
function groupTable(kind = "mean") {
  const tables = shown().map(({ block }) => array(block, tableName(kind)));
  if (state.show !== "d") return tables[0] ?? null;
  const [a, b] = tables;
  if (!a || !b || a.rows !== b.rows || row().blocks[0].channels !== row().blocks[1].channels) return null;
  const inB = new Map(b.channels.map((channel, column) => [channel, column]));
  const common = a.channels
    .map((channel, column) => [channel, column, inB.get(channel)])
    .filter((entry) => entry[2] !== undefined);
  return {
    rows: a.rows,
    columns: common.length,
    channels: common.map(([channel]) => channel),
    whole: a.whole && b.whole,
    written: (value) => written(value, "difference"),
    at: (line, column) => b.at(line, common[column][2]) - a.at(line, common[column][1]),
  };
}

// The mean over all images: every class counts by its images.
function overall(table) {
  const { counts } = groups();
  const [sums, weights] = [new Float64Array(table.columns), new Float64Array(table.columns)];
  for (let line = 0; line < table.rows; line++) {
    if (!counts[line]) continue;
    for (let column = 0; column < table.columns; column++) {
      const value = table.at(line, column);
      if (Number.isNaN(value)) continue;
      sums[column] += counts[line] * value;
      weights[column] += counts[line];
    }
  }
  return sums.map((sum, column) => sum / weights[column]);
}
