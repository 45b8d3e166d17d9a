/* The log page: links to lines, jumps from hit to hit, following, wrapping. Lines come from the server by number. */
"use strict";
(() => {
  const WRAP = "console.log-wrap";
  const list = document.getElementById("log");
  const follow = document.getElementById("log-follow");
  let busy = false;
  let again = false;

  const lineOf = (hash) => /^#L(\d{1,15})$/.exec(hash)?.[1];

  const lastEvent = () => document.getElementById("live").dataset.last;

  async function lines(query) {
    const answer = await fetch(`${list.dataset.lines}?part=lines&seen=${lastEvent()}&${query}`, { headers: { "HX-Request": "true" } });
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.text();
  }

  /* Go to a line. If it is not on the page, a window around it replaces the lines. `near`: an offset in a clipped line,
     whose surroundings are shown on request only. */
  async function goToLine(number, near) {
    if (near || !document.getElementById(`L${number}`)) {
      await htmx.swap({ text: await lines(`line=${number}${near ? `&near=${near}` : ""}`), target: list, swap: "innerHTML", sourceElement: list, hx: {} });
    }
    const hash = `#L${number}`;
    if (location.hash === hash) document.getElementById(`L${number}`)?.scrollIntoView({ block: "center" });
    else location.hash = hash;
    highlight();
  }

  /* Hits of the search. */
  const hits = () => (document.querySelector("[data-hits]")?.dataset.hits ?? "").split(",").filter(Boolean).map(Number);
  const places = () => (document.querySelector("[data-hits]")?.dataset.places ?? "").split(",");
  let at = -1;

  function step(by) {
    const numbers = hits();
    if (!numbers.length) return;
    at = at < 0 ? (by > 0 ? 0 : numbers.length - 1) : (at + by + numbers.length) % numbers.length;
    document.querySelector("[data-hit-place]").textContent = `${at + 1} / ${numbers.length}`;
    goToLine(numbers[at], places()[at]);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-hit]");
    if (button) return step(Number(button.dataset.hit));
    const link = event.target.closest("[data-line]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    at = hits().indexOf(Number(link.dataset.line));
    goToLine(link.dataset.line, link.dataset.near);
  });

  /* The browser paints the matches: no markup is added to the output. */
  function highlight() {
    const text = document.getElementById("hits")?.dataset.q.toLowerCase();
    if (!text || !globalThis.Highlight) return;
    const ranges = [];
    for (const code of list.querySelectorAll("code")) {
      for (const node of nodes(code)) {
        const words = node.data.toLowerCase();
        for (let from = words.indexOf(text); from >= 0; from = words.indexOf(text, from + text.length)) {
          const range = new Range();
          range.setStart(node, from);
          range.setEnd(node, from + text.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("hit", new Highlight(...ranges));
  }

  function nodes(element) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found;
  }

  /* Append new lines; scroll along if Follow is checked. */
  async function appendLines() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const end = document.getElementById("log-end");
      if (!end) return;
      const text = await lines(`from=${end.dataset.from}`);
      if (!end.isConnected) return;
      list.querySelector("[data-unfinished]")?.remove(); // it comes again, as it is by now
      await htmx.swap({ text, target: end, swap: "outerHTML", sourceElement: list, hx: {} });
      document.querySelector(".log + .empty")?.remove();
      if (follow?.checked) scrollTo({ top: document.documentElement.scrollHeight });
      highlight();
    } catch {
      /* The connection is lost: the banner says so, and the next event or poll tries again. */
    } finally {
      busy = false;
    }
    if (again) {
      again = false;
      appendLines();
    }
  }

  document.addEventListener("console:output", (event) => {
    const operation = event.detail?.operation;
    if (operation === undefined || String(operation) === list.dataset.operation) appendLines();
  });
  document.addEventListener("htmx:after:swap", highlight);
  addEventListener("hashchange", () => {
    const number = lineOf(location.hash);
    if (number && !document.getElementById(`L${number}`)) goToLine(number);
  });

  function stored(name, value) {
    try {
      if (value === undefined) return localStorage.getItem(name);
      localStorage.setItem(name, value);
    } catch {
      /* Without storage the choice lasts as long as the page. */
    }
    return null;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const wrap = document.getElementById("log-wrap");
    wrap.checked = stored(WRAP) !== "off";
    const show = () => list.classList.toggle("unwrapped", !wrap.checked);
    wrap.addEventListener("change", () => (stored(WRAP, wrap.checked ? "on" : "off"), show()));
    show();
    const number = lineOf(location.hash);
    if (number) goToLine(number);
    highlight();
  });
})();
