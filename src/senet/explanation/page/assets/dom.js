// Elements, made by `el`: texts become text nodes, so that no name in the data is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

function el(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "style") {
      for (const [property, text] of Object.entries(value)) node.style.setProperty(property, text);
    } else if (value !== false && value != null) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat(2).filter((child) => child != null && child !== false));
  return node;
}

// A name from the data: isolated, so that right-to-left letters do not reorder what stands beside it.
const called = (text) => el("bdi", { class: "name", title: text }, text);

const fill = (node, ...children) =>
  node.replaceChildren(...children.flat(2).filter((child) => child != null && child !== false));

const byId = (id) => document.getElementById(id);

function button(text, press, attributes = {}) {
  return el("button", { type: "button", on: { click: press }, ...attributes }, text);
}

// A labelled `select`; `choices` are pairs of a value and its text.
function chooser(label, choices, value, choose) {
  const select = el("select", { on: { change: () => choose(select.value) } });
  for (const [key, text] of choices) select.append(el("option", { value: key, selected: key === value }, text));
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

function checkbox(label, checked, choose) {
  const box = el("input", { type: "checkbox", on: { change: () => choose(box.checked) } });
  box.checked = checked;
  return el("label", { class: "choice" }, box, el("span", {}, label));
}

// Tell what happened, also to screen readers.
function announce(text) {
  byId("message").textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => {
    byId("message").textContent = "";
  }, 4000);
}
