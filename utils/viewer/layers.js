// Which outlines are seen: those of one layer or all, what differs between two, and which classes.

/** Return the views of a viewer as pairs of value and label. */
function viewsOf(told) {
  const { layers, difference, texts } = told;
  const single = layers.length > 1 ? layers.map((layer) => [`layer ${layer.key}`, layer.label]) : [];
  const all = [["all", layers.length > 1 ? texts.all : layers[0]?.label ?? texts.all]];
  return [...all, ...single, ...(difference ? [["difference", texts.difference]] : []), ["picture", texts.picture]];
}

/** Show a view in all figures. */
function showView(viewer, view) {
  viewer.view = view;
  viewer.root.dataset.view = view.startsWith("layer ") ? "one" : view;
  for (const group of viewer.all("g[data-layer]")) {
    group.style.display = ["all", "difference", `layer ${group.dataset.layer}`].includes(view) ? "" : "none";
  }
  for (const svg of viewer.all(".viewer-plane > svg")) {
    svg.querySelector(".viewer-difference")?.remove();
    if (view === "difference") svg.append(differenceOf(viewer, svg));
  }
  showClasses(viewer);
}

/** Hide the outlines of all classes that are switched off. */
function showClasses(viewer) {
  for (const path of viewer.all("path[data-class]")) {
    path.classList.toggle("viewer-off", viewer.hidden.has(path.dataset.class));
  }
}

/**
 * Draw what two layers do not have in common, class by class.
 * By the rule `evenodd` the paths of both together fill what one layer alone has; each layer cuts its own part out of that.
 */
function differenceOf(viewer, svg) {
  const told = viewer.told.difference;
  const group = makeSvg("g", { class: "viewer-difference" });
  const pathsOf = (key) => new Map([...svg.querySelectorAll(`g[data-layer="${key}"] path`)].map((path) => [path.dataset.class, path.getAttribute("d")]));
  const first = pathsOf(told.first), second = pathsOf(told.second);
  const sides = [[first, told.first_colour, told.only_first], [second, told.second_colour, told.only_second]];
  for (const index of new Set([...first.keys(), ...second.keys()])) {
    const d = (first.get(index) ?? "") + (second.get(index) ?? "");
    for (const [own, colour, word] of sides.filter(([own]) => own.has(index))) {
      const id = newName();
      const path = { d, "data-class": index, "data-word": word, style: `--colour:${colour}`, "clip-path": `url(#${id})` };
      group.append(makeSvg("clipPath", { id }, makeSvg("path", { d: own.get(index) })), makeSvg("path", path));
    }
  }
  return group;
}

/** Make the list of classes with a box for each, group by group. */
function makeClasses(viewer) {
  const { classes, texts } = viewer.told;
  const groups = new Map();
  const summary = make("summary");
  const count = () => (summary.textContent = `${texts.classes}: ${classes.length - viewer.hidden.size} / ${classes.length}`);
  const boxes = classes.map((one, index) => {
    const box = make("input", { type: "checkbox", checked: true, value: String(index) });
    const label = make("label", {}, box, make("span", {}, make("i", { style: `--colour:${one.colour}` }), one.name));
    if (!groups.has(one.group)) groups.set(one.group, make("div", { class: "viewer-group" }, ...(one.group ? [make("b", {}, one.group)] : [])));
    groups.get(one.group).append(label);
    return box;
  });
  const change = () => {
    viewer.hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    count();
    showClasses(viewer);
  };
  const set = (checked) => {
    for (const box of boxes) box.checked = checked;
    change();
  };
  for (const box of boxes) box.addEventListener("change", change);
  count();
  const buttons = make("div", { class: "viewer-row" }, makeButton(texts.show_all, () => set(true)), makeButton(texts.show_none, () => set(false)));
  return make("details", { class: "viewer-classes" }, summary, buttons, ...groups.values());
}

/** Move what is cut out over the pictures; return the controls that choose one and divide it from the photograph. */
function makeCutouts(viewer) {
  const labels = new Set();
  for (const holder of viewer.all(".viewer-cutouts")) {
    const plane = holder.closest(".viewer-figure").querySelector(".viewer-plane");
    for (const image of holder.querySelectorAll("img")) {
      labels.add(image.dataset.label);
      plane.insertBefore(make("div", { class: "viewer-board", "data-label": image.dataset.label }, image), plane.querySelector("svg"));
    }
    holder.remove();
  }
  if (!labels.size) return [];
  const { texts } = viewer.told;
  const show = (chosen) => {
    for (const board of viewer.all(".viewer-board")) board.style.display = board.dataset.label === chosen ? "" : "none";
    viewer.root.classList.toggle("viewer-divided", chosen !== "");
  };
  const last = [...labels].at(-1);
  show(last);
  const choices = [["", texts.photograph], ...[...labels].map((label) => [label, label])];
  const [divide] = makeInput(texts.divide, { type: "range", min: 0, max: 100, value: 50 }, (value) => viewer.root.style.setProperty("--divide", `${value}%`));
  return [makeChoice(texts.cutout, choices, last, show), divide];
}
