// Which figures are shown, and in which order: by name and by the numbers of pictures or of one class.

/** Return a number of a figure, of the class with this index or of the whole picture (""); NaN if it has none. */
function numberOf(figure, index, column) {
  const row = index === "" ? figure.querySelector(".viewer-whole") : figure.querySelector(`tr[data-class="${index}"]`);
  const cell = [...(row?.querySelectorAll("[data-column]") ?? [])].find((one) => one.dataset.column === column);
  return parseFloat(cell?.dataset.value ?? "");
}

/** Make the controls of order and limits. */
function makeOrder(viewer) {
  const { classes, columns, texts } = viewer.told;
  const figures = [...viewer.all(".viewer-figure")];
  const shown = make("span", { "aria-live": "polite" });
  const limits = { least: "", most: "", text: "" };
  const arrange = () => arrangeFigures(viewer, figures, { order: order.value, index: of.value, column: number.value, ...limits }, shown);
  const limit = (name) => (value) => {
    limits[name] = value;
    arrange();
  };
  const orders = [["given", texts.as_given], ["rising", texts.rising], ["falling", texts.falling], ["name", texts.by_name]];
  const [orderLabel, order] = makeSelect(texts.order, columns.length ? orders : [orders[0], orders[3]], arrange);
  const [ofLabel, of] = makeSelect(texts.of_class, [["", texts.whole_picture], ...classes.map((one, index) => [String(index), one.name])], arrange);
  const [numberLabel, number] = makeSelect(texts.number, columns.map(({ key, label }) => [key, label]), arrange);
  const [least] = makeInput(texts.at_least, { type: "number", step: "any" }, limit("least"));
  const [most] = makeInput(texts.at_most, { type: "number", step: "any" }, limit("most"));
  const [search] = makeInput(texts.search, { type: "search" }, limit("text"));
  const ofNumbers = columns.length ? [ofLabel, numberLabel, least, most] : [];
  arrange();
  const row = make("div", { class: "viewer-row" }, orderLabel, ...ofNumbers, search);
  return make("details", { class: "viewer-order" }, make("summary", {}, `${texts.sort}: `, shown), row);
}

/** Put figures in order and hide those outside the limits, or without the class that is asked for. */
function arrangeFigures(viewer, figures, wanted, shown) {
  const { texts } = viewer.told;
  const value = new Map(figures.map((figure) => [figure, numberOf(figure, wanted.index, wanted.column)]));
  const fits = (figure) => {
    const number = value.get(figure);
    if (!figure.dataset.name.toLowerCase().includes(wanted.text.toLowerCase())) return false;
    if (wanted.index !== "" && !figure.querySelector(`tr[data-class="${wanted.index}"]`)) return false;
    if (wanted.least !== "" && !(number >= Number(wanted.least))) return false;
    return wanted.most === "" || number <= Number(wanted.most);
  };
  const last = (number, sign) => (Number.isNaN(number) ? Infinity : sign * number);
  const compare = {
    given: () => 0,
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
    rising: (a, b) => last(value.get(a), 1) - last(value.get(b), 1) || 0,
    falling: (a, b) => last(value.get(a), -1) - last(value.get(b), -1) || 0,
  }[wanted.order];
  const sorted = [...figures].sort(compare);
  for (const figure of sorted) figure.hidden = !fits(figure);
  viewer.root.querySelector(".viewer-figures").append(...sorted);
  const count = sorted.filter((figure) => !figure.hidden).length;
  shown.textContent = count ? texts.shown.replace("{shown}", count).replace("{all}", figures.length) : texts.nothing;
}
