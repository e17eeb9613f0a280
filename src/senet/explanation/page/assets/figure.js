// A figure: title, controls, drawing, legend, a line that reads out numbers, and its table as CSV, PNG or HTML.

const TABLE_ROWS = 200;

// `draw(stage)` returns { canvas, legend, table, title, name }; `canvas` and `table` are functions that are called on demand.
function figure(id, { keys, title, about, controls, draw, readout = "" }) {
  const stage = el("div", { class: "stage" });
  const legend = el("ul", { class: "legend", "aria-label": "Legend" });
  const tableBox = el("div", { class: "numbers", tabindex: 0, role: "group", "aria-label": `Numbers: ${title}` });
  const bar = el("div", { class: "controls" });
  let drawn = {};
  const details = el(
    "details",
    { on: { toggle: () => (details.open ? showTable() : fill(tableBox)) } },
    el("summary", {}, "Show the numbers"),
    tableBox,
  );
  const showTable = () => drawn.table && fill(tableBox, htmlTable(drawn.table()));
  const tools = el(
    "div",
    { class: "tools" },
    button("Copy CSV", () => copyTable(drawn.table()), { "data-do": "csv", "aria-label": `Copy CSV: ${title}` }),
    button(
      "Save PNG",
      () =>
        savePicture({
          canvas: drawn.canvas(),
          title: drawn.title ?? title,
          legend: drawn.legend,
          colors: drawn.colors,
          name: drawn.name ?? id,
        }),
      { "data-do": "png", "aria-label": `Save PNG: ${title}` },
    ),
  );
  const heading = el("h3", { id: `${id}-title` }, title);
  const box = byId(id);
  fill(
    box,
    el("div", { class: "head" }, heading, tools),
    el("p", { class: "about" }, about),
    bar,
    stage,
    el("output", { class: "readout", id: `${id}-readout` }, readout),
    legend,
    details,
  );
  box.setAttribute("aria-labelledby", `${id}-title`);
  const again = () => {
    if (controls) keepFocus(bar, () => fill(bar, controls()));
    drawn = draw(stage) ?? {};
    tools.hidden = details.hidden = !drawn.table;
    fill(legend, (drawn.legend ?? []).map(legendEntry));
    legend.hidden = !(drawn.legend ?? []).length;
    if (details.open && drawn.table) showTable();
  };
  view([...keys, "theme", "show", "width"], again);
  return {
    stage,
    read: (text) => {
      byId(`${id}-readout`).textContent = text;
    },
  };
}

// Fill a box anew; the control that has the focus keeps it.
function keepFocus(box, refill) {
  const place = [...box.querySelectorAll("select, input, button")].indexOf(document.activeElement);
  refill();
  if (place >= 0) box.querySelectorAll("select, input, button")[place]?.focus();
}

function legendEntry({ label, color: stroke, dash = [], width = 2, band = false }) {
  return el(
    "li",
    {},
    svg(
      "svg",
      { width: 30, height: 10, "aria-hidden": "true" },
      band && svg("rect", { width: 30, height: 10, fill: stroke, opacity: 0.2 }),
      svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke, "stroke-width": width, "stroke-dasharray": dash.join(" ") }),
    ),
    called(label),
  );
}

function htmlTable({ heads, rows }) {
  const more = rows.length - TABLE_ROWS;
  return [
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head) => el("th", { scope: "col" }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.slice(0, TABLE_ROWS).map((line) =>
          el(
            "tr",
            {},
            line.map((cell) =>
              el(
                "td",
                { class: typeof cell === "number" ? "number" : null },
                typeof cell === "number" ? short(cell, 4) : (cell ?? "\u2013"),
              ),
            ),
          ),
        ),
      ),
    ),
    more > 0 && el("p", { class: "soft" }, `${whole(more)} more rows: Copy CSV has them all.`),
  ];
}

// A canvas of a size in CSS pixels, sharp on dense screens; `paint(ctx, width, height)` draws.
function paint(canvas, width, height, draw) {
  const ratio = devicePixelRatio || 1;
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  canvas.style.setProperty("width", `${width}px`);
  canvas.style.setProperty("height", `${height}px`);
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  draw(ctx, width, height);
}

const missing = (stage, text) => fill(stage, el("p", { class: "missing" }, text));
