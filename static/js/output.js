/* Output panels: the server sends harmless HTML from an offset on, and says where the next piece begins. */
"use strict";
(() => {
  const busy = new WeakSet();

  /* Appends what there is by now. Stays at the bottom only where the reader was. */
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
      /* The connection is away: the page's own banner says so, and the next event or poll comes back here. */
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
