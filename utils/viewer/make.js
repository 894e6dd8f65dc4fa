// Make elements of a page.

const SVG = "http://www.w3.org/2000/svg";
let made = 0;

/** Return a name that no other element of the page has. */
const newName = () => `viewer-${++made}`;

/** Make an element with properties (or attributes: "aria-…", "data-…", "for", "class") and children. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(aria-|data-|class$|for$|style$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Make an SVG element with attributes. */
function makeSvg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Make a group of choices of which one is chosen; `choices` are pairs of value and label. */
function makeChoice(legend, choices, chosen, choose) {
  const name = newName();
  const options = choices.map(([value, label]) => {
    const input = make("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => choose(value));
    return make("label", { class: "viewer-choice" }, input, label);
  });
  return make("fieldset", {}, make("legend", {}, legend), ...options);
}

/** Make a select with its label; `choices` are pairs of value and label. */
function makeSelect(label, choices, change) {
  const select = make("select", {}, ...choices.map(([value, text]) => make("option", { value }, text)));
  select.addEventListener("change", change);
  return [make("label", {}, label, select), select];
}

/** Make an input with its label; `change` gets its value. */
function makeInput(label, properties, change) {
  const input = make("input", properties);
  input.addEventListener("input", () => change(input.value));
  return [make("label", {}, label, input), input];
}

/** Make a button. */
function makeButton(text, press, properties = {}) {
  const button = make("button", { type: "button", ...properties }, text);
  button.addEventListener("click", press);
  return button;
}
