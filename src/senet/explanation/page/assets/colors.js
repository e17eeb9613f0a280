// Colours of both themes, read from the style sheet; scales for heatmaps; looks of lines.

const SEQUENTIAL = {
  light: ["#f3f6f9", "#bcd7ea", "#6fa8d0", "#2b73ab", "#0b3c68"],
  dark: ["#1b2128", "#1f4666", "#2f78ab", "#7db7de", "#eaf4fb"],
};
const DIVERGING = {
  light: ["#0b4f86", "#6aa5d0", "#f4f4f2", "#e09a63", "#9c4403"],
  dark: ["#8cc4ec", "#2f78ab", "#22262b", "#b8652b", "#f6b98a"],
};
// A line is told by its dashes, too: no two of the eight have both colour and dashes alike.
const LINES = {
  light: ["#0072b2", "#c04f00", "#007a59", "#a8447f", "#7a5c00", "#2a86b8", "#5b4bb0", "#8a2b2b"],
  dark: ["#56b4e9", "#f39a4a", "#3cc79b", "#e59cc6", "#e0c04a", "#8fd0f5", "#b0a3f5", "#f08f8f"],
};
const DASHES = [[], [9, 4], [2, 3], [9, 3, 2, 3], [14, 4], [5, 3], [2, 6], [9, 3, 2, 3, 2, 3]];

const theme = () =>
  state.theme !== "auto" ? state.theme : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

// A colour of the style sheet, such as "--ink", in the theme that is shown.
function color(name) {
  const probe = byId("probe");
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

// The look of a model, or of the difference of two.
const letterLook = (letter) => look("abd".indexOf(letter));

const look = (place) => ({ color: LINES[theme()][place % 8], dash: DASHES[place % 8] });

function ramp(stops) {
  const table = new Uint8Array(3 * 256);
  const levels = stops.map((stop) => [1, 3, 5].map((from) => parseInt(stop.slice(from, from + 2), 16)));
  for (let step = 0; step < 256; step++) {
    const place = (step / 255) * (levels.length - 1);
    const first = Math.min(Math.floor(place), levels.length - 2);
    for (let hue = 0; hue < 3; hue++) {
      table[3 * step + hue] = levels[first][hue] + (place - first) * (levels[first + 1][hue] - levels[first][hue]);
    }
  }
  return table;
}

// A scale from numbers to colours; one with a middle (0) for differences.
function scale(low, high, diverging) {
  const end = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const [from, to] = diverging ? [-end, end] : [low, high > low ? high : low + 1];
  const table = ramp((diverging ? DIVERGING : SEQUENTIAL)[theme()]);
  const step = (value) => Math.max(0, Math.min(255, Math.round((255 * (value - from)) / (to - from))));
  return {
    from,
    to,
    table,
    step,
    css: (value) => `rgb(${table.slice(3 * step(value), 3 * step(value) + 3).join(" ")})`,
  };
}
