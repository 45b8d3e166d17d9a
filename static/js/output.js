/* Output panels: the server sends escaped HTML from an offset on, and the offset of the next piece. */
"use strict";
(() => {
  const busy = new WeakSet();

  /* Append new output. Stay at the bottom only if the reader is there. */
  async function follow(panel) {
    if (busy.has(panel)) {
      panel.dataset.again = "1";
      return;
    }
    busy.add(panel);
    try {
      for (let more = true; more && panel.isConnected; ) {
        const query = new URLSearchParams({
          offset: panel.dataset.next, style: panel.dataset.style, seen: document.getElementById("live").dataset.last,
        });
        const answer = await fetch(`${panel.dataset.output}?${query}`, { headers: { "HX-Request": "true" } });
        if (!answer.ok) return;
        const html = await answer.text();
        const next = answer.headers.get("X-Next");
        more = next !== panel.dataset.next;
        const atEnd = panel.scrollHeight - panel.scrollTop - panel.clientHeight < 40;
        panel.querySelector("[data-unfinished]")?.remove(); // it comes again, as it is by now
        panel.insertAdjacentHTML("beforeend", html);
        panel.dataset.next = next;
        panel.dataset.style = answer.headers.get("X-Style");
        if (atEnd) panel.scrollTop = panel.scrollHeight;
      }
    } catch {
      /* The connection is lost: the page's banner says so, and the next event or poll tries again. */
    } finally {
      busy.delete(panel);
    }
    if (panel.dataset.again) {
      delete panel.dataset.again;
      follow(panel);
    }
  }

  document.addEventListener("console:output", (event) => {
    for (const panel of document.querySelectorAll("[data-output]")) {
      const wanted = event.detail?.operation;
      if (wanted === undefined || String(wanted) === panel.dataset.operation) follow(panel);
    }
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const panel of document.querySelectorAll("[data-output]")) panel.scrollTop = panel.scrollHeight;
  });
})();
