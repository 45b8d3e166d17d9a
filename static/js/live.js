/* A page that stays true: one event stream for the tab tells that something changed; the fragment is fetched again.

   The fragment is the template of the first view. Where the stream is lost, a banner says how old the data is and the
   page asks every few seconds. A hidden tab holds no stream. */
"use strict";
(() => {
  const THROTTLE = 300;
  const POLL = 3000;
  const RETRY = 10000;
  const KINDS = ["deployment", "operation", "step", "output", "message"];

  const root = document.getElementById("live");
  const banner = document.getElementById("stale");
  let stream = null;
  let freshAt = Date.now();
  let due = null;
  let running = false;
  let lastRun = 0;
  let polling = null;
  let retrying = null;
  let spoken = "";

  const ended = () => root.querySelector("#live-head")?.dataset.ended === "1";

  function refreshSoon() {
    if (due || !root) return;
    due = setTimeout(refresh, Math.max(0, THROTTLE - (Date.now() - lastRun)));
  }

  async function refresh() {
    due = null;
    if (running) return refreshSoon();
    running = true;
    lastRun = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { "HX-Request": "true" }, cache: "no-store" });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      if (!root.querySelector("dialog[open]")) {
        await htmx.swap({ text, target: root, swap: "innerMorph", sourceElement: root, hx: {} });
      }
      freshAt = Date.now();
      speak();
      tell({});
      if (ended()) close();
    } catch {
      lose();
    } finally {
      running = false;
    }
    showAge();
  }

  function tell(detail) {
    document.dispatchEvent(new CustomEvent("console:output", { detail }));
  }

  function speak() {
    const words = root.querySelector("#live-head")?.dataset.word ?? "";
    const place = document.getElementById("live-word");
    if (place && words !== spoken) place.textContent = spoken = words;
  }

  function showAge() {
    const lost = !ended() && polling !== null;
    banner.hidden = !lost;
    if (lost) {
      const seconds = Math.round((Date.now() - freshAt) / 1000);
      banner.querySelector("[data-says]").textContent = interpolate(
        gettext("What you see is %(age)s s old. Asking every %(poll)s s."), { age: seconds, poll: POLL / 1000 }, true);
    }
  }

  function open() {
    if (stream || ended() || document.hidden) return;
    stream = new EventSource(root.dataset.events);
    stream.onopen = () => {
      clearInterval(polling);
      polling = null;
      showAge();
      refreshSoon();
    };
    for (const kind of KINDS) stream.addEventListener(kind, heard);
    stream.onerror = () => {
      /* The server closes a stream after the deployment's last event; only a look at the rows tells. */
      refreshSoon();
      if (stream?.readyState === EventSource.CLOSED) retry();
      lose();
    };
  }

  function heard(event) {
    freshAt = Date.now();
    if (event.type === "output") {
      try {
        const data = JSON.parse(event.data);
        return tell({ operation: data.operation_id ?? data.data?.operation_id });
      } catch {
        return tell({});
      }
    }
    refreshSoon();
  }

  function retry() {
    stream?.close();
    stream = null;
    clearTimeout(retrying);
    retrying = setTimeout(open, RETRY);
  }

  function lose() {
    if (polling || ended() || document.hidden) return;
    polling = setInterval(refreshSoon, POLL);
  }

  function close() {
    stream?.close();
    stream = null;
    clearInterval(polling);
    clearTimeout(retrying);
    polling = null;
    showAge();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    refreshSoon();
    open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && (refreshSoon(), open()));
  setInterval(showAge, 1000);

  /* Which hosts show their output is part of the address, so that it can be sent to somebody, and survives a reload. */
  root.addEventListener("click", (event) => {
    const link = event.target.closest("[data-toggle]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    history.replaceState(history.state, "", link.href);
    clearTimeout(due);
    refresh();
  });

  spoken = root.querySelector("#live-head")?.dataset.word ?? "";
  open();
})();
