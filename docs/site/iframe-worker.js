// The search runs in a worker, and browsers start none for a page that was opened as a file. There it runs in a hidden
// frame instead, which gets what the search's worker of mkdocs-material expects of its surroundings.
class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    const inside = frame.contentWindow;
    const load = (source) =>
      new Promise((done, fail) => {
        const script = inside.document.createElement("script");
        Object.assign(script, { src: source, onload: done, onerror: fail });
        inside.document.body.append(script);
      });
    inside.importScripts = (...sources) => sources.reduce((before, source) => before.then(() => load(source)), Promise.resolve());
    inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    this.inside = inside;
    this.ready = load(url);
  }

  postMessage(data) {
    this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate() {
    this.inside.frameElement.remove();
  }
}

if (location.protocol === "file:") {
  Object.assign(window, { IFrameWorker, Worker: IFrameWorker });
}
