// The gate over the squeeze of its own channel.

function drawSqueeze(stage) {
  const found = shown().filter(({ block }) => block.squeeze_curve?.x?.length);
  if (!found.length) {
    missing(stage, "There is no curve of gate against squeeze for this block.");
    return {};
  }
  const xs = [...new Set(found.flatMap(({ block }) => block.squeeze_curve.x))].sort((a, b) => a - b);
  const along = ({ squeeze_curve: curve }, name) =>
    xs.map((x) => {
      const place = curve.x.indexOf(x);
      return place < 0 ? null : (curve[name][place] ?? null);
    });
  const [data, series, bands] = [[xs], [], []];
  for (const { letter, block } of found) {
    const { color: stroke, dash } = letterLook(letter);
    for (const name of ["high", "low", "mean"]) {
      data.push(along(block, name));
      series.push(
        name === "mean"
          ? { stroke, dash, width: 2, spanGaps: true }
          : { stroke: "transparent", width: 0, spanGaps: true },
      );
    }
    bands.push({ series: [series.length - 2, series.length - 1], fill: faded(stroke) });
  }
  plot(stage, {
    data,
    series,
    bands,
    height: 220,
    x: { label: `(squeeze ${MINUS} its mean) / its standard deviation` },
    y: { label: "gate" },
  });
  return {
    legend: found.length > 1 ? found.map(({ letter }) => ({ label: markModel(letter), ...letterLook(letter) })) : [],
    canvas: () => plotCanvas(stage),
    title: `${row().name}: gate against squeeze`,
    name: `senet-squeeze-${fileName(row().name)}`,
    table: () => ({
      heads: [
        "squeeze",
        ...found.flatMap(({ letter }) => ["mean", "low", "high"].map((name) => withModel(`${name} gate`, letter))),
      ],
      rows: xs.map((x, place) => [
        x,
        ...found.flatMap(({ block }) => ["mean", "low", "high"].map((name) => along(block, name)[place])),
      ]),
    }),
  };
}

function setUpSqueeze() {
  figure("squeeze", {
    keys: ["block"],
    title: "Gate against squeeze",
    about:
      "What a channel's own average does to its gate: the line is the mean gate at this squeeze, the band where most gates lie. Flat: the gate does not follow its own channel.",
    draw: drawSqueeze,
  });
}
