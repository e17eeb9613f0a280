// The paper's figure: gates over channels, a curve for each chosen class, the mean over all, the band within a class.

const SAMPLES = [
  [0, "all"],
  [50, "50 evenly spaced, as in the paper"],
  [200, "200 evenly spaced"],
];

const valueWord = () => (state.by === "class" && state.values === "logits" ? "logit" : "gate");

const yLabel = () => (state.show === "d" ? `difference of ${valueWord()}s` : `mean ${valueWord()}`);

// Columns of the table in the order that is drawn.
function drawnColumns(table) {
  const order = columnOrder(table);
  if (!state.sample || order.length <= state.sample) return order;
  const kept = new Set(
    Array.from({ length: state.sample }, (_, place) => Math.floor(((place + 0.5) * table.columns) / state.sample)),
  );
  return order.filter((column) => kept.has(column));
}

function stepChannel(by) {
  const table = groupTable();
  const channels = table
    ? drawnColumns(table).map((column) => table.channels[column])
    : Array.from({ length: shown()[0]?.block.channels ?? 0 }, (_, channel) => channel);
  const place = channels.indexOf(state.channel);
  if (channels.length)
    choose({ channel: channels[place < 0 ? 0 : Math.max(0, Math.min(channels.length - 1, place + by))] });
}

function valueControls() {
  const conditions = Object.keys(shown()[0]?.block.conditions ?? {}).filter((name) =>
    array(shown()[0].block, `condition.${name}`),
  );
  const stored = shown().every(({ block }) => array(block, "logit_mean"));
  const logits = state.by === "class" && (stored || state.values === "logits");
  return [
    conditions.length > 0 &&
      chooser(
        "Curves by",
        [["class", "class"], ...conditions.map((name) => [`condition.${name}`, name])],
        state.by,
        (by) => choose({ by }),
      ),
    logits &&
      chooser(
        "Values",
        [
          ["gates", "gates"],
          ["logits", "logits"],
        ],
        state.values,
        (values) => choose({ values }),
      ),
  ];
}

function drawCurves(stage, read) {
  const table = groupTable();
  if (!table) {
    missing(stage, absence());
    return {};
  }
  const columns = drawnColumns(table);
  const numbers = columns.map((column) => table.channels[column]);
  const all = overall(table);
  const { names } = groups();
  const lines = chosen().filter((place) => place < table.rows);
  const spread = state.band && state.show !== "d" ? groupTable("std") : null;
  const inSpread = spread && new Map(spread.channels.map((channel, column) => [channel, column]));
  const width = (place, channel) => (inSpread?.has(channel) ? spread.at(place, inSpread.get(channel)) : NaN);
  const number = (value) => (Number.isNaN(value) ? null : value);
  const data = [columns.map((_, place) => place), columns.map((column) => number(all[column]))];
  const series = [{ label: "mean over all", stroke: color("--ink"), width: 2.5 }];
  const bands = [];
  const legend = [{ label: "mean over all images", color: color("--ink"), width: 3 }];
  lines.forEach((line, place) => {
    const { color: stroke, dash } = look(place);
    data.push(columns.map((column) => number(table.at(line, column))));
    series.push({ label: names[line], stroke, dash, width: 1.75 });
    legend.push({ label: names[line], color: stroke, dash, band: Boolean(spread) });
    if (!spread) return;
    for (const side of [1, -1]) {
      data.push(columns.map((column) => number(table.at(line, column) + side * width(line, table.channels[column]))));
      series.push({ label: `${names[line]} band`, stroke: "transparent", width: 0 });
    }
    bands.push({ series: [series.length - 1, series.length], fill: faded(stroke) });
  });
  const tell = (place) => {
    if (place == null || place >= columns.length) {
      read(hint());
      return;
    }
    const column = columns[place];
    const channel = table.channels[column];
    read(
      [
        `channel ${channel}`,
        `all ${short(all[column])}`,
        ...lines.map(
          (line) =>
            `${cut(names[line])} ${short(table.at(line, column))}${spread ? ` \u00b1 ${short(width(line, channel), 2)}` : ""}`,
        ),
      ].join(" \u00b7 "),
    );
  };
  plot(stage, {
    data,
    series,
    bands,
    height: 320,
    hover: tell,
    x: {
      label: `channels, by ${SORTS[state.sort]}`,
      values: (u, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? (numbers[tick] ?? "") : "")),
    },
    y: { label: yLabel() },
    marked: () => numbers.indexOf(state.channel),
    press: (place) => choose({ channel: numbers[place] }),
  });
  return {
    legend,
    canvas: () => plotCanvas(stage),
    title: `${row().name}: ${yLabel()} by channel`,
    name: `senet-curves-${fileName(row().name)}`,
    table: () => {
      const withBand = spread ? lines : [];
      return {
        heads: [
          "channel",
          "mean over all",
          ...lines.map((line) => names[line]),
          ...withBand.map((line) => `sd within ${names[line]}`),
        ],
        rows: columns.map((column) => [
          table.channels[column],
          all[column],
          ...lines.map((line) => table.written(table.at(line, column))),
          ...withBand.map((line) => table.written(width(line, table.channels[column]))),
        ]),
      };
    },
  };
}

const hint = () => "Point at a curve to read it; click, or use the arrow keys, to choose a channel.";

const faded = (stroke) => `${stroke}2e`;

// Why there is no table of the classes.
function absence() {
  const names = shown().map(({ block }) => block);
  if (!names.length) return "This block is not in this model.";
  if (state.show === "d" && names.length < 2)
    return "This block is in one of the two models only: there is no difference.";
  if (state.show === "d" && names[0].channels !== names[1].channels)
    return `The block has ${names[0].channels} channels in one model and ${names[1].channels} in the other: there is no difference by channel.`;
  return `This page holds no mean ${valueWord()}s by ${groups().word} of this block; sums.safetensors may (see "About this page").`;
}

function setUpCurves() {
  const { stage, read } = figure("curves", {
    keys: ["block", "by", "classes", "channel", "values", "band", "sort", "sample"],
    title: "Class curves",
    about:
      "The mean gate of each channel, by class. Curves that lie on each other: the block treats all classes alike. The band is one standard deviation over the images of a class.",
    readout: hint(),
    controls: () => [
      ...valueControls(),
      chooser("Order of channels", Object.entries(SORTS), state.sort, (sort) => choose({ sort })),
      chooser(
        "Channels",
        SAMPLES.map(([count, text]) => [String(count), text]),
        String(state.sample),
        (sample) => choose({ sample: Number(sample) }),
      ),
      state.by === "class" &&
        state.show !== "d" &&
        checkbox("band within a class", state.band, (band) => choose({ band })),
    ],
    draw: (place) => drawCurves(place, (text) => read(text)),
  });
  steps(stage, "Class curves: left and right choose a channel", (by) => stepChannel(by));
}
