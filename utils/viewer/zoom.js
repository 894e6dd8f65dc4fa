// Zoom and pan of one picture, by buttons, keys, wheel and fingers.

const MOST = 16, STEP = 1.5, MOVE = 0.1;

/** Let a stage zoom and pan; return its moves. Places and distances are shares of the stage's size. */
function addZoom(stage) {
  const plane = stage.querySelector(".viewer-plane");
  let scale = 1, left = 0, top = 0;
  const limited = (value) => Math.min(0, Math.max(1 - scale, value));
  const show = () => {
    [left, top] = [limited(left), limited(top)];
    Object.assign(plane.style, { inset: "auto", left: `${left * 100}%`, top: `${top * 100}%`, width: `${scale * 100}%`, height: `${scale * 100}%` });
    stage.classList.toggle("viewer-zoomed", scale > 1);
    stage.dataset.scale = scale.toFixed(2);
  };
  const zoom = (factor, x = 0.5, y = 0.5) => {
    const next = Math.min(MOST, Math.max(1, scale * factor));
    left = x - ((x - left) * next) / scale;
    top = y - ((y - top) * next) / scale;
    scale = next;
    show();
  };
  const move = (x, y) => {
    left += x;
    top += y;
    show();
  };
  const whole = () => zoom(1 / scale);
  const moves = { zoom, move, whole };
  followWheel(stage, moves);
  followPointers(stage, moves);
  return moves;
}

/** Return the place of an event in a stage, as shares of its size. */
function placeIn(stage, event) {
  const box = stage.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

/** Zoom by the wheel: with Ctrl, so that the page still scrolls, or if the picture is enlarged. */
function followWheel(stage, moves) {
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !stage.closest("dialog")) return;
    event.preventDefault();
    moves.zoom(STEP ** (-event.deltaY / 150), ...placeIn(stage, event));
  }, { passive: false });
  stage.addEventListener("dblclick", (event) => {
    if (!event.target.closest("button")) moves.zoom(2, ...placeIn(stage, event));
  });
}

/** Pan with one pointer, zoom and pan with two. */
function followPointers(stage, moves) {
  const places = new Map();
  const spread = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const middle = (all) => [0, 1].map((axis) => all.reduce((sum, place) => sum + place[axis], 0) / all.length);
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    places.set(event.pointerId, placeIn(stage, event));
    if (stage.classList.contains("viewer-zoomed")) stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!places.has(event.pointerId)) return;
    const before = [...places.values()];
    places.set(event.pointerId, placeIn(stage, event));
    const after = [...places.values()];
    const [from, to] = [middle(before), middle(after)];
    if (after.length === 2 && spread(before) > 0) moves.zoom(spread(after) / spread(before), ...to);
    moves.move(to[0] - from[0], to[1] - from[1]);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture", "pointerleave"]) {
    stage.addEventListener(end, (event) => places.delete(event.pointerId));
  }
}

/** Zoom, pan and switch the view by keys while a stage has the focus. */
function followKeys(stage, moves, nextView) {
  const acts = {
    "+": () => moves.zoom(STEP), "=": () => moves.zoom(STEP), "-": () => moves.zoom(1 / STEP), "0": moves.whole,
    ArrowLeft: () => moves.move(MOVE, 0), ArrowRight: () => moves.move(-MOVE, 0),
    ArrowUp: () => moves.move(0, MOVE), ArrowDown: () => moves.move(0, -MOVE), t: nextView, T: nextView,
  };
  stage.addEventListener("keydown", (event) => {
    const isMove = event.key.startsWith("Arrow");
    if (event.target !== stage || event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    if (isMove && !stage.classList.contains("viewer-zoomed")) return;
    event.preventDefault();
    acts[event.key]();
  });
}
