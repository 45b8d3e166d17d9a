/* Live pages: one event stream per tab reports that something changed, and the fragment is fetched again.

   The fragment is rendered from the same template as the page. Without a stream (lost, or refused because the server has
   no slot left) a banner shows the age of the data and the page polls. A hidden tab closes its stream; where its title
   shows progress, it polls. */
"use strict";
(() => {
  const MIN_PAUSE = 250;
  const MAX_PAUSE = 900; // a state change is on the screen within a second, however long a fragment takes
  const OUTPUT_INTERVAL = 500; // what is printed is fetched at most twice a second
  const POLL_INTERVAL = 3000;
  const HIDDEN_INTERVAL = 5000; // browsers make it longer for a tab that has been hidden for long
  const RECONNECT_AFTER = 4000;

  const root = document.getElementById("live");
  const banner = document.getElementById("stale");
  if (!root || !banner) return;
  let stream = null;
  let freshAt = Date.now();
  let pause = MIN_PAUSE;
  let due = null;
  let running = false;
  let lastRun = 0;
  let polling = null;
  let retrying = null;
  let background = null;
  let counting = null;
  let spoken = "";
  let timer = null;
  const printed = new Set();
  let printing = null;
  let lastPrinted = 0;

  const head = () => document.getElementById("live-head");
  const ended = () => head()?.dataset.ended === "1";

  function refreshSoon() {
    if (due || document.hidden) return;
    due = setTimeout(refresh, Math.max(0, pause - (Date.now() - lastRun)));
  }

  /* Return this page's URL with the number of rows that it shows (as many come back) and the last event that it saw. */
  function address() {
    const url = new URL(location.href);
    const shown = root.querySelectorAll("[data-rows] > tr:not(:has(> .more), :has(> .inside))").length;
    url.searchParams.set("rows", shown);
    url.searchParams.set("seen", root.dataset.last);
    if (head()?.dataset.personal) url.searchParams.set("personal", 1);
    if (root.dataset.favourites) url.searchParams.set("favourites", root.dataset.favourites);
    url.hash = "";
    return url;
  }

  async function refresh() {
    due = null;
    if (running) return refreshSoon();
    running = true;
    lastRun = Date.now();
    try {
      const answer = await fetch(address(), { headers: { "HX-Request": "true" }, cache: "no-store" });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      await show(await answer.text());
      waitForTime();
      freshAt = Date.now();
      announceStatus();
      announceOutput({});
      if (ended()) {
        close();
        clearInterval(background);
      }
    } catch {
      startPolling();
    } finally {
      running = false;
      pause = Math.min(MAX_PAUSE, Math.max(MIN_PAUSE, 2 * (Date.now() - lastRun)));
    }
    showAge();
  }

  async function show(text) {
    if (root.querySelector("dialog[open], [method=post] .field .wrong")) return; /* what is typed stays */
    const refused = root.querySelector("[data-at]");
    await htmx.swap({ text, target: root, swap: "innerMorph", sourceElement: root, hx: {} });
    if (refused && !refused.isConnected) root.querySelector(refused.dataset.at)?.after(refused);
  }

  /* Some things change by time alone: fetch them again when the first one is due. */
  function waitForTime() {
    clearTimeout(timer);
    const seconds = Math.min(...[...root.querySelectorAll("[data-due]")].map((one) => one.dataset.due));
    if (seconds < 86400) timer = setTimeout(refreshSoon, seconds * 1000);
  }

  function announceOutput(detail) {
    document.dispatchEvent(new CustomEvent("console:output", { detail }));
  }

  function announceStatus() {
    const { title, icon } = head()?.dataset ?? {};
    if (title) document.title = title;
    if (icon) document.getElementById("icon").setAttribute("href", icon.trim());
    const words = head()?.dataset.word ?? "";
    const place = document.getElementById("live-word");
    if (place && words !== spoken) place.textContent = spoken = words;
  }

  function showAge() {
    const lost = !ended() && polling !== null;
    banner.hidden = !lost;
    if (lost) {
      const seconds = Math.round((Date.now() - freshAt) / 1000);
      banner.querySelector("[data-says]").textContent = interpolate(
        gettext("Data is %(age)s s old. Refreshing every %(poll)s s."), { age: seconds, poll: POLL_INTERVAL / 1000 }, true);
    }
  }

  function open() {
    if (stream || ended() || document.hidden) return;
    const url = new URL(root.dataset.events, location.href);
    url.searchParams.set("last_event_id", root.dataset.last);
    stream = new EventSource(url);
    stream.onopen = () => {
      clearInterval(polling);
      polling = null;
      showAge();
      refreshSoon();
    };
    for (const kind of root.dataset.kinds.split(" ")) stream.addEventListener(kind, onEvent);
    stream.onerror = () => {
      /* The server closes a stream after the deployment's last event; only the rows tell whether this was it. */
      refreshSoon();
      if (stream?.readyState === EventSource.CLOSED) scheduleReconnect();
      startPolling();
    };
  }

  function onEvent(event) {
    root.dataset.last = event.lastEventId;
    freshAt = Date.now();
    let data = {};
    try {
      data = JSON.parse(event.data);
    } catch {
      /* Something changed, whatever it was. */
    }
    if (root.dataset.service && data.service_id && String(data.service_id) !== root.dataset.service) return;
    if (event.type === "deployment" && ["waiting", "queued", "cancelled"].includes(data.status)) countWaiting(data.status);
    const host = event.type === "host" ? data.id : data.host_id;
    if (root.dataset.host && host && String(host) !== root.dataset.host) return;
    if (event.type !== "output") return refreshSoon();
    printed.add(data.operation_id);
    printing ??= setTimeout(announcePrinted, Math.max(0, OUTPUT_INTERVAL - (Date.now() - lastPrinted)));
  }

  /* The head says how many deployments wait. Only one that begins to wait may change the number where there is none. */
  function countWaiting(status) {
    const shown = document.querySelectorAll("[data-waiting]");
    if (counting || (status !== "waiting" && ![...shown].some((place) => place.textContent.trim()))) return;
    counting = setTimeout(async () => {
      counting = null;
      const answer = await fetch("/waiting/count/").catch(() => null);
      if (!answer?.ok || answer.redirected) return;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const place of shown) place.replaceWith(found.getElementById(place.id) ?? place);
    }, MAX_PAUSE);
  }

  function announcePrinted() {
    printing = null;
    lastPrinted = Date.now();
    for (const operation of printed) announceOutput({ operation });
    printed.clear();
  }

  /* No slot was free, or the server is unreachable: poll, and reconnect later. */
  function scheduleReconnect() {
    stream?.close();
    stream = null;
    clearTimeout(retrying);
    retrying = setTimeout(open, RECONNECT_AFTER);
  }

  function startPolling() {
    if (polling || ended() || document.hidden) return;
    polling = setInterval(refreshSoon, POLL_INTERVAL);
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
    clearInterval(background);
    if (document.hidden) {
      close();
      if (head()?.dataset.title && !ended()) background = setInterval(refresh, HIDDEN_INTERVAL);
      return;
    }
    refreshSoon();
    open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && (refreshSoon(), open()));
  root.addEventListener("close", refreshSoon, true); // events that arrived while a dialog was open
  setInterval(showAge, 1000);

  /* The URL says which hosts show their output, so that it can be shared and survives a reload. */
  root.addEventListener("click", (event) => {
    const link = event.target.closest("[data-toggle]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    history.replaceState(history.state, "", link.href);
    clearTimeout(due);
    refresh();
  });

  spoken = head()?.dataset.word ?? "";
  waitForTime();
  open();
})();
