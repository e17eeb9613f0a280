// Which classes are drawn: type to filter, tick up to eight.

const MOST_CLASSES = 8;
const MATCHES = 100;

// The chosen classes; of a condition, all its groups.
function chosen() {
  if (state.by !== "class")
    return groups()
      .names.map((_, place) => place)
      .slice(0, MOST_CLASSES);
  return state.classes === "" ? [] : state.classes.split(".").map(Number);
}

function toggleClass(place) {
  const now = chosen();
  if (!now.includes(place) && now.length === MOST_CLASSES) {
    announce(`At most ${MOST_CLASSES} classes at once: remove one first.`);
    return;
  }
  choose({ classes: (now.includes(place) ? now.filter((other) => other !== place) : [...now, place]).join(".") });
}

// Classes that lie far apart in a block: the farthest from the mean, then always the one farthest from all before.
function apartClasses(table, count) {
  if (!table) return Array.from({ length: Math.min(count, page.classes.length) }, (_, place) => place);
  const center = overall(table);
  const distance = (place, at) => {
    let sum = 0;
    for (let column = 0; column < table.columns; column++) sum += (table.at(place, column) - at(column)) ** 2;
    return sum;
  };
  const places = groups()
    .names.map((_, place) => place)
    .filter((place) => groups().counts[place] > 0);
  const nearest = new Map(places.map((place) => [place, distance(place, (column) => center[column])]));
  const found = [];
  while (found.length < Math.min(count, places.length)) {
    const next = places
      .filter((place) => !found.includes(place))
      .reduce((best, place) => (nearest.get(place) > nearest.get(best) ? place : best));
    found.push(next);
    for (const place of places) {
      const to = distance(place, (column) => table.at(next, column));
      nearest.set(place, found.length === 1 ? to : Math.min(nearest.get(place), to));
    }
  }
  return found.sort((first, second) => first - second);
}

function setUpClasses() {
  const list = byId("class-list");
  const search = byId("class-search");
  const more = byId("class-more");
  const tick = () => {
    const now = chosen();
    for (const box of list.querySelectorAll("input")) box.checked = now.includes(Number(box.value));
  };
  const drawList = () => {
    const wanted = search.value.toLowerCase();
    const found = page.classes
      .map((name, place) => [name, place])
      .filter(([name]) => name.toLowerCase().includes(wanted));
    fill(
      list,
      found.slice(0, MATCHES).map(([name, place]) => {
        const box = el("input", {
          type: "checkbox",
          value: place,
          on: {
            change: () => {
              toggleClass(place);
              tick();
            },
          },
        });
        return el(
          "li",
          {},
          el(
            "label",
            {},
            box,
            called(name),
            el("span", { class: "soft" }, `${whole(page.data.images_per_class[place])} images`),
          ),
        );
      }),
    );
    tick();
    more.textContent =
      found.length === 0
        ? "No class has these letters."
        : found.length > MATCHES
          ? `${whole(found.length - MATCHES)} more: type more letters.`
          : "";
  };
  const drawChips = () =>
    keepFocus(byId("chips"), () =>
      fill(
        byId("chips"),
        chosen().map((place, number) => {
          const { color: stroke, dash } = look(number);
          const sample = svg(
            "svg",
            { width: 24, height: 8, "aria-hidden": "true" },
            svg("line", {
              x1: 0,
              x2: 24,
              y1: 4,
              y2: 4,
              stroke,
              "stroke-width": 2.5,
              "stroke-dasharray": dash.join(" "),
            }),
          );
          return el(
            "li",
            {},
            sample,
            called(page.classes[place]),
            button("\u00d7", () => toggleClass(place), { "aria-label": `Remove ${page.classes[place]}` }),
          );
        }),
      ),
    );
  search.addEventListener("input", drawList);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("input")?.click();
  });
  byId("class-apart").addEventListener("click", () => choose({ classes: apartClasses(groupTable(), 4).join(".") }));
  drawList();
  view(["classes", "by"], () => {
    byId("class-picker").hidden = state.by !== "class";
    if (state.by === "class") tick();
  });
  view(["classes", "theme", "by"], () => state.by === "class" && drawChips());
}
