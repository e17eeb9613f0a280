// Accuracy with a share of the channels set to zero.

const ORDERS = { rising: "smallest gates first", falling: "largest gates first", random: "at random" };

function drawGateCurve(stage) {
  const found = shown().filter(({ block }) => block.gate_curve?.shares?.length);
  if (!found.length) {
    missing(stage, "There is no gate curve of this block: channels were not zeroed.");
    return {};
  }
  const shares = [...new Set(found.flatMap(({ block }) => block.gate_curve.shares))].sort((a, b) => a - b);
  const lines = found.flatMap(({ letter, block }) =>
    Object.entries(ORDERS).map(([name, text]) => ({ letter, name, text, curve: block.gate_curve })),
  );
  const along = ({ curve, name }) =>
    shares.map((share) => {
      const place = curve.shares.indexOf(share);
      return place < 0 ? null : (curve[name][place] ?? null);
    });
  const looks = lines.map(({ letter }, place) =>
    found.length === 1 ? look(place) : { color: letterLook(letter).color, dash: DASHES[place % 3] },
  );
  plot(stage, {
    data: [shares.map((share) => 100 * share), ...lines.map(along)],
    height: 220,
    points: true,
    x: { label: "channels zeroed [%]" },
    y: { label: "top-1 [%]" },
    series: lines.map((_, place) => ({
      stroke: looks[place].color,
      dash: looks[place].dash,
      width: 2,
      spanGaps: true,
    })),
  });
  return {
    legend: lines.map(({ letter, text }, place) => ({ label: withModel(text, letter), ...looks[place] })),
    canvas: () => plotCanvas(stage),
    title: `${row().name}: gate curve`,
    name: `senet-gate-curve-${fileName(row().name)}`,
    table: () => ({
      heads: ["share zeroed", ...lines.map(({ letter, text }) => withModel(`top-1 [%], ${text}`, letter))],
      rows: shares.map((share, place) => [share, ...lines.map((line) => along(line)[place])]),
    }),
  };
}

function setUpGateCurve() {
  figure("gate-curve", {
    keys: ["block"],
    title: "Gate curve",
    about:
      "Accuracy when channels are set to zero in the order of their gates. Smallest first should hurt least if the gate measures importance.",
    draw: drawGateCurve,
  });
}
