// What is chosen: kept in the part of the address after `#`, so that a link or a bookmark shows the same view.

const STATE_KEYS = {
  block: String,
  show: String,
  statistic: String,
  by: String,
  classes: String,
  channel: Number,
  values: String,
  band: Boolean,
  sort: String,
  rows: String,
  sample: Number,
  change: String,
  measure: String,
  theme: String,
};

const state = {};
const standard = {}; // what is chosen when the address says nothing; not written into it
const views = []; // { keys, draw }: what is drawn anew when one of the keys changes

function view(keys, draw) {
  views.push({ keys, draw });
}

function choose(changes) {
  const changed = Object.keys(changes).filter((key) => changes[key] !== state[key]);
  if (!changed.length) return;
  Object.assign(state, changes);
  const address = new URLSearchParams();
  for (const key of Object.keys(STATE_KEYS)) {
    if (state[key] !== standard[key])
      address.set(key, typeof state[key] === "boolean" ? Number(state[key]) : state[key]);
  }
  const hash = String(address);
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  redraw(changed);
}

function redraw(changed) {
  for (const { keys, draw } of views) if (!changed || keys.some((key) => changed.includes(key))) draw();
}

// Read the address; what it does not say or says wrongly takes its standard value. Returns the keys that changed.
function readAddress(allowed) {
  const before = { ...state };
  const address = new URLSearchParams(location.hash.slice(1));
  for (const [key, type] of Object.entries(STATE_KEYS)) {
    const text = address.get(key);
    const value = text === null ? standard[key] : type === Boolean ? text === "1" : type(text);
    state[key] = text === null || allowed(key, value) ? value : standard[key];
  }
  return Object.keys(STATE_KEYS).filter((key) => state[key] !== before[key]);
}
