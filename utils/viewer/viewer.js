// Start each viewer of the page: its bar, its stages, and the names under the pointer.

/** Start a viewer; a second call has no effect. */
function start(root) {
  if (root.dataset.started) return;
  root.dataset.started = "yes";
  const all = (selector) => root.querySelectorAll(selector);
  const viewer = { root, all, told: JSON.parse(root.dataset.viewer), hidden: new Set(), view: "all" };
  viewer.bar = makeBar(viewer);
  root.prepend(viewer.bar);
  for (const figure of all(".viewer-figure")) startFigure(viewer, figure);
  showView(viewer, viewer.told.first);
}

/** Make the bar with all controls. */
function makeBar(viewer) {
  const { told, root } = viewer;
  const { texts } = told;
  const choice = makeChoice(texts.view, viewsOf(told), told.first, (view) => showView(viewer, view));
  const slider = (name, label, max, value) => makeInput(label, { type: "range", min: 0, max, step: 0.05, value }, (now) => root.style.setProperty(name, now));
  const fill = root.querySelector(".viewer-cutouts") ? 0 : 0.3; // What is cut out keeps its colours.
  root.style.setProperty("--fill", fill);
  const sliders = [slider("--fill", texts.opacity, 1, fill), slider("--brightness", texts.brightness, 3, 1), slider("--contrast", texts.contrast, 3, 1)];
  const reset = makeButton(texts.reset, () => {
    for (const [, input] of sliders) {
      input.value = input.defaultValue;
      input.dispatchEvent(new Event("input"));
    }
  });
  viewer.nextView = () => {
    const inputs = [...choice.querySelectorAll("input")];
    inputs[(inputs.findIndex((input) => input.checked) + 1) % inputs.length].click();
  };
  for (const [, input] of sliders) input.defaultValue = input.value;
  const rows = [make("div", { class: "viewer-row" }, choice, ...makeCutouts(viewer)), make("div", { class: "viewer-row" }, ...sliders.map(([label]) => label), reset)];
  if (told.classes.length > 1) rows.push(makeClasses(viewer));
  if (viewer.all(".viewer-figure").length > 1) rows.push(makeOrder(viewer));
  return make("div", { class: "viewer-bar" }, ...rows);
}

/** Give a figure its buttons, keys and names. */
function startFigure(viewer, figure) {
  const { texts } = viewer.told;
  const stage = figure.querySelector(".viewer-stage");
  const moves = addZoom(stage);
  followKeys(stage, moves, viewer.nextView);
  Object.assign(stage, { tabIndex: 0, role: "group" });
  stage.setAttribute("aria-label", `${figure.dataset.name}. ${texts.keys}`);
  const button = (sign, label, press) => makeButton(sign, press, { title: label, "aria-label": label });
  stage.append(make("div", { class: "viewer-buttons" }, button("+", texts.zoom_in, () => moves.zoom(STEP)), button("−", texts.zoom_out, () => moves.zoom(1 / STEP)),
    button("1×", texts.whole, moves.whole), button("⤢", texts.enlarge, () => enlarge(viewer, figure))));
  showNames(viewer, figure, stage);
}

/** Show the names of the classes under the pointer, and mark the uppermost; also that of a row of numbers. */
function showNames(viewer, figure, stage) {
  const tip = make("div", { class: "viewer-tip", hidden: true });
  stage.append(tip);
  for (const title of figure.querySelectorAll("path > title")) title.remove();
  const light = (index) => {
    for (const path of figure.querySelectorAll("path[data-class]")) path.classList.toggle("viewer-lit", path.dataset.class === index);
  };
  const leave = () => {
    tip.hidden = true;
    light(null);
  };
  const follow = (event) => {
    const paths = document.elementsFromPoint(event.clientX, event.clientY).filter((one) => one.matches("path[data-class]") && stage.contains(one));
    if (!paths.length) return leave();
    tip.textContent = textOf(viewer, figure, paths);
    const [x, y] = placeIn(stage, event);
    Object.assign(tip.style, { left: x < 0.5 ? `calc(${x * 100}% + 14px)` : "", right: x < 0.5 ? "" : `calc(${100 - x * 100}% + 14px)`, top: `${Math.min(y, 0.85) * 100}%` });
    tip.hidden = false;
    return light(paths[0].dataset.class);
  };
  stage.addEventListener("pointermove", follow);
  stage.addEventListener("pointerdown", follow);
  stage.addEventListener("pointerleave", (event) => event.pointerType === "touch" || leave()); // A finger that is lifted leaves too.
  for (const row of figure.querySelectorAll("tr[data-class]")) {
    row.querySelector("th").tabIndex = 0;
    for (const begin of ["pointerenter", "focusin"]) row.addEventListener(begin, () => light(row.dataset.class));
    for (const end of ["pointerleave", "focusout"]) row.addEventListener(end, () => light(null));
  }
}

/** Write the names of classes, each with its layers, or what differs, and its first number, one below the other. */
function textOf(viewer, figure, paths) {
  const { classes, layers, columns } = viewer.told;
  const found = new Map();
  for (const path of paths) {
    const key = path.closest("g[data-layer]")?.dataset.layer;
    const word = path.dataset.word ?? layers.find((layer) => layer.key === key)?.label;
    const words = found.get(path.dataset.class) ?? new Set();
    found.set(path.dataset.class, words.add(word));
  }
  for (const { dataset } of paths.filter((path) => path.dataset.word)) found.set(dataset.class, new Set([dataset.word]));
  return [...found].map(([index, words]) => {
    const cell = figure.querySelector(`tr[data-class="${index}"] [data-value]`);
    const number = cell ? ` · ${columns.find(({ key }) => key === cell.dataset.column).label} ${cell.textContent}` : "";
    return `${classes[index].name} (${[...words].join(", ")})${number}`;
  }).join("\n");
}

/** Show a figure as large as the window, with the bar above it, until it is closed. */
function enlarge(viewer, figure) {
  const { bar, root } = viewer;
  const dialog = make("dialog", { class: "viewer-dialog" });
  if (figure.closest("dialog")) return figure.closest("dialog").close();
  const places = [bar, figure].map((element) => {
    const place = make("span");
    element.replaceWith(place);
    return [place, element];
  });
  dialog.append(makeButton(viewer.told.texts.close, () => dialog.close(), { class: "viewer-close" }), bar, figure);
  dialog.addEventListener("close", () => {
    for (const [place, element] of places) place.replaceWith(element);
    dialog.remove();
    figure.querySelector(".viewer-stage").focus();
  });
  root.append(dialog);
  dialog.showModal();
  return figure.querySelector(".viewer-stage").focus({ preventScroll: true });
}

/** Open all numbers while the page is printed. */
function printNumbers() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".viewer-numbers:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });
}

function startAll() {
  for (const root of document.querySelectorAll(".viewer[data-viewer]")) start(root);
}

function begin() {
  startAll();
  new MutationObserver(startAll).observe(document.body, { childList: true, subtree: true });
  printNumbers();
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
else begin();
