// The chosen block: what it is, its diagnosis, and every statistic with its definition, chance level and interval.

const values = (value) => (Array.isArray(value) ? value.map((entry) => short(entry)).join(", ") : short(value));

// What stands beside a statistic: its interval, its chance level, its limit.
function beside(block, path) {
  const { statistics } = block;
  const interval = statistics[`${path}_interval`];
  const notes = [];
  if (interval) notes.push(`95 % interval ${short(interval[0])} to ${short(interval[1])}`);
  if (path === "class_share") {
    if (statistics.class_share_p != null) notes.push(`p ${short(statistics.class_share_p, 2)}`);
    notes.push("chance level 0");
  }
  if (path === "class_share_eta2" && statistics.eta2_chance != null)
    notes.push(`chance level ${short(statistics.eta2_chance)}`);
  if (path === "information" && statistics.information_max != null)
    notes.push(`largest of a channel ${short(statistics.information_max)} bits`);
  if (path === "used_rank" && statistics.rank_limit != null)
    notes.push(`at most ${short(statistics.rank_limit)}: the smallest hidden width`);
  return notes.join("; ");
}

function statisticsTable() {
  const blocks = row().blocks;
  const rows = Object.keys(page.definitions).flatMap((path) => {
    const found = blocks.map((block) => statistic(block, path));
    if (found.every((value) => value == null)) return [];
    const cells = found.map((value) => (Array.isArray(value) ? value.join(" ") : value));
    return [[page.definitions[path].label, ...cells, ...(two() ? [difference(found)] : [])]];
  });
  return { heads: ["statistic", ...(two() ? ["A", "B", "B - A"] : ["value"])], rows };
}

const difference = ([a, b]) => (typeof a === "number" && typeof b === "number" ? b - a : null);

const blockFacts = (block) =>
  [
    block.stage != null && `stage ${block.stage}`,
    `${whole(block.channels)} channels`,
    block.hidden.length > 0 && `hidden ${block.hidden.map(whole).join(", ")}`,
    `${whole(block.parameters)} parameters`,
    block.macs != null && `${whole(block.macs)} multiply-adds`,
    block.time_percent != null && `${short(block.time_percent, 2)} % of the time`,
    block.gate && `gate ${block.gate}`,
    block.kind,
  ]
    .filter(Boolean)
    .join(" \u00b7 ");

function drawStatistics() {
  const { blocks, name } = row();
  fill(byId("block-name"), called(name));
  const facts = blocks.map((block) => block && blockFacts(block));
  fill(
    byId("block-facts"),
    new Set(facts).size === 1
      ? el("li", {}, facts[0])
      : facts.map((text, place) => text && el("li", {}, el("strong", {}, `${"AB"[place]}: `), text)),
  );
  const notes = blocks.flatMap((block, place) =>
    (block?.diagnosis ?? []).map((entry) => ({ ...entry, letter: "AB"[place] })),
  );
  fill(
    byId("diagnosis"),
    notes.length
      ? notes.map(({ text, severity: level, letter }) =>
          el(
            "li",
            { class: level },
            el("span", { class: `mark ${level}` }, level),
            " ",
            two() && el("strong", {}, `${letter}: `),
            el("span", {}, text),
          ),
        )
      : el("li", { class: "soft" }, "Nothing stands out."),
  );
  fill(
    byId("statistics"),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, "statistic"),
        (two() ? ["A", "B", `B ${MINUS} A`] : ["value"]).map((head) =>
          el("th", { scope: "col", class: "number" }, head),
        ),
        el("th", { scope: "col" }, "definition"),
      ),
    ),
    el(
      "tbody",
      {},
      Object.entries(page.definitions).map(([path, { label, definition, reading }]) => {
        const found = blocks.map((block) => statistic(block, path));
        if (found.every((value) => value == null)) return null;
        const between = difference(found);
        const paired = blockDifference(blocks)?.[path];
        return el(
          "tr",
          { class: path === state.statistic ? "current" : null },
          el("th", { scope: "row" }, label),
          found.map((value) => el("td", { class: "number" }, values(value))),
          two() &&
            el(
              "td",
              { class: "number" },
              between == null ? "\u2013" : signed(between),
              paired && el("span", { class: "beside" }, `[${signed(paired[1])}, ${signed(paired[2])}]`),
            ),
          el(
            "td",
            { class: "definition" },
            definition,
            reading && el("span", { class: "soft" }, ` ${reading}.`),
            blocks
              .filter(Boolean)
              .map((block) => beside(block, path))
              .filter(Boolean)
              .slice(0, 2)
              .map((text, place) => el("span", { class: "beside" }, two() ? `${"AB"[place]}: ${text}` : text)),
          ),
        );
      }),
    ),
  );
}

function setUpStatistics() {
  byId("statistics-csv").addEventListener("click", () => copyTable(statisticsTable()));
  byId("block-before").addEventListener("click", () => stepBlock(-1));
  byId("block-after").addEventListener("click", () => stepBlock(1));
  view(["block", "show", "statistic"], drawStatistics);
}
