// Start: read the data and the address, set up the parts, draw.

function headline() {
  const { data, models } = page;
  document.title = `Gates of ${models.map(({ name }) => name).join(" and ")}`;
  fill(
    byId("title"),
    "Gates of ",
    models.flatMap(({ name }, place) => [place ? " and " : null, called(name)]),
  );
  const counts = data.images_per_class;
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const held =
    data.held_out === true
      ? "held-out images"
      : data.held_out === false
        ? "training images: the network has seen them"
        : "held-out or training images: not known";
  fill(
    byId("facts"),
    [
      dataName() && called(dataName()),
      held,
      `${whole(data.images)} images, ${data.labelled ? `${least === most ? whole(least) : `${whole(least)} to ${whole(most)}`} a class` : "no labels"}`,
      data.labelled && `${whole(page.classes.length)} classes, chance level ${short(100 * data.chance)} %`,
      ...models.map(({ design, top1 }, place) => {
        const known = [design, top1 != null && `top-1 ${short(top1, 4)} %`].filter(Boolean).join(", ");
        return known && (two() ? `${"AB"[place]}: ${known}` : known);
      }),
      page.differences?.top1 && `B ${MINUS} A: top-1 ${estimateText(page.differences.top1)} points`,
    ]
      .filter(Boolean)
      .map((entry) => el("li", {}, entry)),
  );
}

function setUpModels() {
  const box = byId("models");
  box.hidden = !two();
  if (!two()) return;
  view(["show"], () =>
    keepFocus(box, () =>
      fill(
        box,
        el("legend", {}, "Model"),
        [
          ["a", "A"],
          ["b", "B"],
          ["d", `B ${MINUS} A`],
        ].map(([key, text]) => {
          const input = el("input", {
            type: "radio",
            name: "show",
            value: key,
            on: { change: () => choose({ show: key }) },
          });
          input.checked = state.show === key;
          return el("label", {}, input, el("span", {}, text));
        }),
      ),
    ),
  );
}

function setUpTheme() {
  view(["theme"], () => {
    document.documentElement.dataset.theme = state.theme;
    byId("theme").textContent = theme() === "dark" ? "Light" : "Dark";
  });
  byId("theme").addEventListener("click", () => choose({ theme: theme() === "dark" ? "light" : "dark" }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(["theme"]));
}

function setUpKeys() {
  const help = byId("help");
  byId("keys").addEventListener("click", () => help.showModal());
  byId("help-close").addEventListener("click", () => help.close());
  const press = {
    "[": () => stepBlock(-1),
    "]": () => stepBlock(1),
    ",": () => stepChannel(-1),
    ".": () => stepChannel(1),
    "/": () => {
      byId("class-search").closest("details").open = true;
      byId("class-search").focus();
    },
    "?": () => help.showModal(),
    t: () => byId("theme").click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open || event.target.closest("input, select, textarea"))
      return;
    if (!press[event.key]) return;
    event.preventDefault();
    press[event.key]();
  });
}

// What an address may say.
function allowed(key, value) {
  const among = {
    block: page.rows.map(({ name }) => name),
    show: two() ? ["a", "b", "d"] : ["a"],
    statistic: Object.keys(page.definitions),
    by: ["class", ...Object.keys(page.rows[0].blocks.find(Boolean).conditions).map((name) => `condition.${name}`)],
    values: ["gates", "logits"],
    sort: Object.keys(SORTS),
    rows: Object.keys(ROW_SORTS),
    sample: SAMPLES.map(([count]) => count),
    change: Object.keys(CHANGES),
    measure: Object.keys(MEASURES),
    theme: ["auto", "dark", "light"],
  }[key];
  if (among) return among.includes(value);
  if (key === "channel") return Number.isInteger(value) && value >= 0;
  if (key === "classes")
    return (
      value === "" ||
      (/^\d+(\.\d+){0,7}$/.test(value) && value.split(".").every((place) => Number(place) < page.classes.length))
    );
  return true;
}

function about() {
  const { notes, made, precision } = page;
  fill(byId("about"), [
    ...made.map(({ senet, commit, torch, device, command, date }, place) =>
      el(
        "p",
        {},
        two() ? `${"AB"[place]}: ` : "",
        `made by senet ${senet}${commit ? ` (${commit})` : ""}, torch ${torch}, ${device}${date ? `, ${date}` : ""}`,
        command && [": ", el("code", {}, command)],
      ),
    ),
    page.data.sample && el("p", {}, page.data.sample),
    el("p", {}, precision),
    ...notes.map((note) => el("p", { class: "note" }, note)),
    el(
      "p",
      {},
      "Curves are drawn by uPlot (MIT licence): ",
      el("details", {}, el("summary", {}, "its licence"), el("pre", {}, page.licence)),
    ),
  ]);
}

async function start() {
  await load();
  const first = page.rows.findLast(({ blocks }) => array(blocks.find(Boolean), "class_mean")) ?? page.rows[0];
  Object.assign(standard, {
    block: first.name,
    show: "a",
    statistic: "class_share",
    by: "class",
    classes: "",
    channel: 0,
    values: "gates",
    band: true,
    sort: "mean",
    rows: "file",
    sample: 50,
    change: "constant",
    measure: "loss",
    theme: "auto",
  });
  Object.assign(state, standard);
  standard.classes = apartClasses(groupTable(), 4).join(".");
  readAddress(allowed);
  document.documentElement.dataset.theme = state.theme;
  headline();
  about();
  for (const setUp of [
    setUpModels,
    setUpTheme,
    setUpKeys,
    setUpStrip,
    setUpStatistics,
    setUpClasses,
    setUpCurves,
    setUpHeatmap,
    setUpChannel,
    setUpHistograms,
    setUpSqueeze,
    setUpGateCurve,
    setUpImportance,
  ])
    setUp();
  byId("main").hidden = false;
  redraw();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(start.timer);
    start.timer = setTimeout(() => redraw(["width"]), 100);
  });
  addEventListener("hashchange", () => redraw(readAddress(allowed)));
  document.documentElement.dataset.ready = "";
}

start().catch((error) => {
  byId("failure").hidden = false;
  byId("failure").textContent = `This page could not be shown: ${error.message}. It needs a browser of 2024 or later.`;
});
