// The network as a strip: one row for each block, in order, with a statistic as a bar, a colour and a number.

function drawStrip() {
  const { scale: kind } = page.definitions[state.statistic];
  const values = page.rows.map((line) => rowValue(line, state.statistic));
  const known = values.filter((value) => value != null);
  const top = state.show === "d" || kind !== "share" ? Math.max(...known.map(Math.abs), 1e-12) : 1;
  const colors = scale(0, top, state.show === "d");
  const list = byId("strip");
  fill(
    list,
    page.rows.map((line, number) => {
      const value = values[number];
      const block = line.blocks.find(Boolean);
      const worst = severity(line);
      const bar = el("span", { class: "bar", "aria-hidden": "true" });
      if (value != null) {
        const half = state.show === "d";
        const length = Math.min(1, Math.max(half ? Math.abs(value) : value, 0) / top); // a share below chance has no bar
        bar.append(
          el("span", {
            style: {
              background: colors.css(value),
              width: `${(half ? 50 : 100) * length}%`,
              "margin-left": half ? `${value < 0 ? 50 - 50 * length : 50}%` : "0",
            },
          }),
        );
      }
      return el(
        "li",
        {
          role: "option",
          id: `row-${number}`,
          "aria-selected": String(line.name === state.block),
          on: { click: () => choose({ block: line.name }) },
        },
        el(
          "span",
          { class: "what" },
          called(line.name),
          el("span", { class: "soft" }, ` ${block.channels}`),
          worst && el("span", { class: `mark ${worst}` }, MARKS[worst]),
        ),
        bar,
        el("span", { class: "value" }, valueText(value, kind)),
      );
    }),
  );
  list.setAttribute("aria-activedescendant", `row-${page.rows.indexOf(row())}`);
}

function valueText(value, kind) {
  const text = kind === "share" ? fixed(value) : short(value);
  return state.show === "d" && value > 0 ? `+${text}` : text;
}

// A defect or an advice is marked with a word, not by a colour alone.
const MARKS = { defect: "defect", advice: "advice" };

function severity({ blocks }) {
  const found = blocks
    .filter((block, place) => block && (state.show === "d" || "ab"[place] === state.show))
    .flatMap(({ diagnosis }) => diagnosis);
  return ["defect", "advice"].find((level) => found.some((entry) => entry.severity === level));
}

function stepBlock(by) {
  const place = page.rows.indexOf(row()) + by;
  if (place < 0 || place >= page.rows.length) return;
  choose({ block: page.rows[place].name });
  const item = byId(`row-${place}`);
  const list = byId("strip");
  if (item.offsetTop < list.scrollTop) list.scrollTop = item.offsetTop;
  else if (item.offsetTop + item.offsetHeight > list.scrollTop + list.clientHeight)
    list.scrollTop = item.offsetTop + item.offsetHeight - list.clientHeight;
}

function setUpStrip() {
  const known = Object.entries(page.definitions).filter(([path]) =>
    page.rows.some(({ blocks }) => blocks.some((block) => single(statistic(block, path)) != null)),
  );
  view(["theme", "statistic"], () => {
    fill(
      byId("strip-controls"),
      chooser(
        "Statistic",
        known.map(([path, { label }]) => [path, label]),
        state.statistic,
        (path) => choose({ statistic: path }),
      ),
    );
    byId("strip-about").textContent = page.definitions[state.statistic].definition;
  });
  view(["block", "statistic", "show", "theme"], drawStrip);
  byId("strip").addEventListener("keydown", (event) => {
    const by = {
      ArrowDown: 1,
      ArrowRight: 1,
      ArrowUp: -1,
      ArrowLeft: -1,
      Home: -page.rows.indexOf(row()),
      End: page.rows.length - 1 - page.rows.indexOf(row()),
    }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (by) stepBlock(by);
  });
}
