// Names in titles, legends and names of files.

const modelName = (letter) => page.models["ab".indexOf(letter)].name;

// A model, or the difference of two, in a legend: two networks may have one name.
const MARK_NAMES = { a: "A", b: "B", d: `B ${MINUS} A` };
const markModel = (letter) =>
  !two() ? modelName("a") : letter === "d" ? MARK_NAMES.d : `${MARK_NAMES[letter]}, ${modelName(letter)}`;

// The data in words: what is not known is not said.
const dataName = () => [page.data.name, page.data.split].filter(Boolean).join(" ");

// What a picture was made from, in one line.
function source() {
  const model = state.show === "d" ? `${modelName("b")} ${MINUS} ${modelName("a")}` : modelName(state.show);
  return `senet explain: ${[model, dataName(), `${whole(page.data.images)} images`].filter(Boolean).join(", ")}`;
}

const cut = (text, length = 24) => (text.length > length ? text.slice(0, length - 1) + "\u2026" : text);

const fileName = (text) => text.replace(/[^\w.-]+/g, "-").slice(0, 60);

const withModel = (text, letter) => (two() ? `${letter.toUpperCase()}, ${text}` : text);
