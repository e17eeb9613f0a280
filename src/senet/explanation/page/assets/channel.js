// One channel: its numbers, the classes that open and close it, and the images that do.

const ENDS = { open: "Opens most", shut: "Closes most" };
const CHANNEL_WORDS = {
  mean: "mean gate",
  std: "standard deviation over the images",
  low: "0.5 % of the gates lie below",
  high: "0.5 % of the gates lie above",
  information: "information on the class [bits]",
  selectivity_gate: "class selectivity of the gate",
  class_share: "class share",
  squeeze_mean: "mean of the squeeze",
  squeeze_std: "standard deviation of the squeeze",
  missing: "share of images whose map is zero here",
};

// The images of one end of a channel's gates: { image, value }.
function extremes(block, end, channel) {
  const [images, values] = [array(block, `extremes.${end}.image`), array(block, `extremes.${end}.value`)];
  if (!images || channel >= images.columns) return [];
  const found = Array.from({ length: images.rows }, (_, rank) => ({
    image: images.at(rank, channel),
    value: values.at(rank, channel),
  }));
  return found.filter(({ image }) => image >= 0);
}

const imageOf = new Map(); // number -> { label, name, thumbnail }

function readImages() {
  const labels = unpack(page.labels);
  for (let place = 0; place < labels.columns; place++) imageOf.set(labels.at(0, place), { label: labels.at(1, place) });
  for (const { index, name, thumbnail } of page.images) Object.assign(imageOf.get(index), { name, thumbnail });
}

const labelOf = (image) => page.classes[imageOf.get(image)?.label] ?? "no label";

function card({ image, value }) {
  const { name, thumbnail } = imageOf.get(image) ?? {};
  const className = labelOf(image);
  return el(
    "li",
    { class: "card" },
    thumbnail
      ? el("img", { src: thumbnail, alt: `image ${image}, ${className}`, width: 64, height: 64, loading: "lazy" })
      : el("span", { class: "blank" }, "no picture in this page"),
    el("strong", {}, short(value)),
    called(className),
    el("span", { class: "soft file", title: name ?? "" }, el("bdi", {}, name ?? `image ${image}`)),
  );
}

function classEnds(block, channel) {
  const table = array(block, "class_mean");
  const column = table ? table.channels.indexOf(channel) : -1;
  if (column < 0) return null;
  const order = descending(Array.from({ length: table.rows }, (_, line) => table.at(line, column))).filter(
    (line) => !Number.isNaN(table.at(line, column)),
  );
  const ends = order.length <= 12 ? order : [...order.slice(0, 6), null, ...order.slice(-6)];
  return el(
    "ol",
    { class: "ranks" },
    ends.map((line) =>
      line === null
        ? el("li", { class: "soft" }, `\u2026 ${whole(order.length - 12)} classes between`)
        : el(
            "li",
            {},
            called(page.classes[line]),
            el("meter", {
              min: 0,
              max: 1,
              value: Math.max(0, Math.min(1, table.at(line, column))),
              "aria-label": `mean gate of ${page.classes[line]}`,
            }),
            el("span", { class: "value" }, short(table.at(line, column))),
          ),
    ),
  );
}

function drawChannel() {
  const blocks = shown();
  const count = blocks[0]?.block.channels ?? 1;
  const channel = Math.min(state.channel, count - 1);
  const input = byId("channel-number");
  input.max = count - 1;
  if (document.activeElement !== input) input.value = channel;
  byId("channel-count").textContent = `of ${whole(count)} (0 to ${whole(count - 1)})`;
  fill(
    byId("channel-body"),
    blocks.map(({ letter, block }) => {
      const place = Math.min(channel, block.channels - 1);
      const facts = page.channel_statistics.map((name) => [
        name,
        array(block, "channels")?.at(page.channel_statistics.indexOf(name), place),
      ]);
      const ranks = classEnds(block, place);
      return el(
        "div",
        { class: "model" },
        two() && el("h4", {}, `${letter.toUpperCase()}: `, called(modelName(letter))),
        el(
          "dl",
          { class: "facts" },
          facts
            .filter(([, value]) => value != null && !Number.isNaN(value))
            .map(([name, value]) => [el("dt", {}, CHANNEL_WORDS[name] ?? name), el("dd", {}, short(value))]),
        ),
        Object.entries(ENDS).map(([end, title]) => {
          const found = extremes(block, end, place);
          return (
            found.length > 0 &&
            el("section", { class: "ends" }, el("h4", {}, title), el("ul", { class: "cards" }, found.map(card)))
          );
        }),
        ranks && el("section", {}, el("h4", {}, "Mean gate by class"), ranks),
      );
    }),
  );
}

function channelTable() {
  const rows = shown().flatMap(({ letter, block }) =>
    Object.keys(ENDS).flatMap((end) =>
      extremes(block, end, state.channel).map(({ image, value }) => {
        return [
          modelName(letter),
          block.name,
          state.channel,
          end,
          image,
          labelOf(image),
          imageOf.get(image)?.name ?? "",
          Number(digits(value)),
        ];
      }),
    ),
  );
  return { heads: ["model", "block", "channel", "end", "image", "label", "file", "gate"], rows };
}

function setUpChannel() {
  readImages();
  const input = byId("channel-number");
  input.addEventListener("input", () => {
    const channel = input.valueAsNumber;
    if (Number.isInteger(channel) && channel >= 0 && channel <= Number(input.max)) choose({ channel });
  });
  byId("channel-before").addEventListener("click", () => stepChannel(-1));
  byId("channel-after").addEventListener("click", () => stepChannel(1));
  byId("channel-csv").addEventListener("click", () => copyTable(channelTable()));
  view(["block", "channel", "show"], drawChannel);
}
