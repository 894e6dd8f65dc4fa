// What the page does in the browser beside Gradio. It stands at the top of the page, so it comes before Gradio.
(() => {
  "use strict";
  const { language, fileBytes, texts } = SETTINGS;

  // Gradio's own words are in the language of the browser; on this page they are in that of the page.
  for (const [name, value] of [["language", language], ["languages", [language]]]) {
    Object.defineProperty(navigator, name, { get: () => value });
  }
  document.documentElement.lang = language;

  /** Show one sentence above the page until the next one, or for a while. */
  let shown, timer;
  function notify(sentence) {
    shown?.remove();
    clearTimeout(timer);
    shown = document.createElement("p");
    shown.className = "carpus-warning carpus-floating";
    shown.setAttribute("role", "alert");
    shown.textContent = sentence;
    document.body.append(shown);
    timer = setTimeout(() => shown.remove(), 12000);
  }

  /** Remove the sentence about an earlier file from the tab that is open. */
  function emptyNotice() {
    for (const tab of document.querySelectorAll(".carpus-tab")) {
      if (tab.offsetParent) tab.querySelector(".carpus-empty")?.click();
    }
  }

  /** Refuse a file that is too large before it is sent: the server would refuse it after a long way. */
  function refuseLarge(event) {
    const files = event.dataTransfer?.files ?? event.clipboardData?.files ?? event.target.files ?? [];
    shown?.remove();
    if (files.length) emptyNotice();
    const large = [...files].find((file) => file.size > fileBytes);
    if (!large) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === "change") event.target.value = "";
    if (event.type === "drop") event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
    notify(texts.tooLarge.replace("{name}", large.name).replace("{mb}", (large.size / 1e6).toFixed(1)));
  }
  for (const type of ["change", "drop", "paste"]) document.addEventListener(type, refuseLarge, true);

  // What Gradio reports by itself, in English and with the heading "Error", is said in a sentence of the page.
  function retell(toast) {
    const text = toast.textContent;
    notify(/maximum allowed size/.test(text) ? texts.tooLargeAny : /connect|network|fetch/i.test(text) ? texts.noConnection : texts.failed);
    toast.querySelector(".toast-close")?.click();
  }
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        const toast = node.querySelector?.(".toast-body.error");
        if (toast) retell(toast);
      }
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  // Gradio draws anew when a pointer releases a slider or its field is left. Keys and Enter do the same here.
  let pointer = false;
  const release = (target) => target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
  document.addEventListener("pointerup", ({ isTrusted }) => {
    if (!isTrusted) return;
    pointer = true;
    setTimeout(() => (pointer = false));
  }, true);
  document.addEventListener("change", ({ target }) => {
    if (target.type === "range" && !pointer) release(target);
  });
  // A typed number is brought into its range before Gradio reads it; Gradio itself does so after it has drawn.
  document.addEventListener("blur", ({ target }) => {
    if (target.type !== "number") return;
    const inside = Math.min(Math.max(target.value, target.min), target.max);
    if (target.value !== "" && inside === Number(target.value)) return;
    target.value = inside;
    target.dispatchEvent(new Event("input", { bubbles: true }));
  }, true);
  document.addEventListener("keyup", ({ target, key }) => {
    if (target.type !== "number") return;
    if (key === "Enter") target.blur();
    if (key.startsWith("Arrow")) release(target);
  });

  // The page in the other language is a page of its own; the picture of the tab that is open goes along to it.
  const KEPT_MS = 60000;

  /** Do something with the browser's store of pictures that go along; resolves to its result. */
  function inStore(act) {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open("carpus", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("along");
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const asked = act(opening.result.transaction("along", "readwrite").objectStore("along"));
        asked.transaction.oncomplete = () => (opening.result.close(), resolve(asked.result));
        asked.transaction.onabort = () => (opening.result.close(), reject(asked.error));
      };
    });
  }

  const tabs = () => [...document.querySelectorAll("#pages > .tab-wrapper [role=tab]")];

  async function keepPicture() {
    const place = [...document.querySelectorAll("#picture, #radiograph")].find((each) => each.offsetParent);
    const image = place?.querySelector("img");
    if (!image) return;
    const name = decodeURIComponent(new URL(image.src).pathname.split("/").pop());
    const tab = tabs().findIndex((each) => each.ariaSelected === "true");
    const picture = await (await fetch(image.src)).blob();
    await inStore((store) => store.put({ place: place.id, tab, name, picture, at: Date.now() }, "picture"));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".carpus-heading a[hreflang]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const go = () => (location.href = link.href);
    keepPicture().then(go, go);
  });

  /** Wait until the page has an element. */
  async function appearing(selector) {
    for (let tries = 0; tries < 100; tries++) {
      const found = document.querySelector(selector);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no ${selector}`);
  }

  async function givePicture() {
    const along = await inStore((store) => store.get("picture"));
    await inStore((store) => store.delete("picture"));
    if (!along || Date.now() - along.at > KEPT_MS) return;
    await appearing("#pages [role=tab]");
    tabs()[along.tab]?.click();
    const input = await appearing(`#${along.place} input[type=file]`);
    const files = new DataTransfer();
    files.items.add(new File([along.picture], along.name, { type: along.picture.type }));
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  givePicture().catch(() => {});

  /** Give a file that was made a moment ago to the person. */
  window.carpusDownload = (file) => {
    if (!file) return;
    const link = document.createElement("a");
    link.href = file.url;
    link.download = file.orig_name || "";
    document.body.append(link);
    link.click();
    link.remove();
  };
})();
