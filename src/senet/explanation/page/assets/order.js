// Orders of channels and classes for curves and heatmap.

const SORTS = {
  channel: "channel number",
  mean: "mean over all",
  spread: "spread over classes",
  first: "value of the first chosen class",
  similar: "similar ones together",
};
const ROW_SORTS = { file: "as in the data", similar: "similar ones together", channel: "value at the chosen channel" };

const descending = (values) =>
  Array.from(values, (_, place) => place).sort((first, second) => values[second] - values[first] || first - second);

function columnOrder(table) {
  switch (state.sort) {
    case "mean":
      return descending(overall(table));
    case "spread":
      return descending(spreads(table));
    case "first":
      return descending(Array.from({ length: table.columns }, (_, column) => table.at(chosen()[0] ?? 0, column)));
    case "similar":
      return similar(table).columns;
    default:
      return Array.from({ length: table.columns }, (_, column) => column);
  }
}

function rowOrder(table) {
  if (state.rows === "similar") return similar(table).rows;
  const column = table.channels.indexOf(state.channel);
  if (state.rows === "channel" && column >= 0)
    return descending(Array.from({ length: table.rows }, (_, line) => table.at(line, column)));
  return Array.from({ length: table.rows }, (_, line) => line);
}

// Standard deviation of the class means, by channel.
function spreads(table) {
  return Array.from({ length: table.columns }, (_, column) => {
    let [sum, squares] = [0, 0];
    for (let line = 0; line < table.rows; line++) {
      const value = table.at(line, column);
      sum += value;
      squares += value * value;
    }
    return Math.sqrt(Math.max(0, squares / table.rows - (sum / table.rows) ** 2));
  });
}

// Rows and columns by their angle in the plane of the first two singular vectors of the centred table:
// neighbours have alike profiles. Costs a few passes over the table, so that 1,000 classes x 2,048 channels take a second.
const similarOrders = new WeakMap();

function similar(table) {
  if (similarOrders.has(table)) return similarOrders.get(table);
  const { rows, columns } = table;
  const centred = new Float32Array(rows * columns);
  const center = overall(table);
  for (let line = 0; line < rows; line++) {
    for (let column = 0; column < columns; column++)
      centred[line * columns + column] = table.at(line, column) - center[column] || 0;
  }
  const planes = { rows: [], columns: [] };
  for (let pair = 0; pair < 2; pair++) {
    let right = Float64Array.from({ length: columns }, (_, column) => Math.sin(1 + column * (pair + 1)));
    let left = new Float64Array(rows);
    for (let pass = 0; pass < 12; pass++) {
      for (const found of planes.columns) remove(right, found);
      normalize(right);
      left = left.map((_, line) => {
        let sum = 0;
        for (let column = 0; column < columns; column++) sum += centred[line * columns + column] * right[column];
        return sum;
      });
      right = new Float64Array(columns);
      for (let line = 0; line < rows; line++)
        for (let column = 0; column < columns; column++) right[column] += left[line] * centred[line * columns + column];
    }
    normalize(right);
    planes.columns.push(right);
    planes.rows.push(left);
  }
  const angles = ([x, y]) => descending(Array.from(x, (value, place) => Math.atan2(y[place], value)));
  const orders = { rows: angles(planes.rows), columns: angles(planes.columns) };
  similarOrders.set(table, orders);
  return orders;
}

function normalize(vector) {
  const length = Math.hypot(...vector) || 1;
  for (let place = 0; place < vector.length; place++) vector[place] /= length;
}

function remove(vector, unit) {
  const part = vector.reduce((sum, value, place) => sum + value * unit[place], 0);
  for (let place = 0; place < vector.length; place++) vector[place] -= part * unit[place];
}
