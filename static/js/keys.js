/* Keyboard shortcuts. They are off while the user types, and can be disabled in each browser. */
"use strict";
(() => {
  const STORAGE_KEY = "console.keys";
  const TEXT_FIELDS = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
  const ROWS = "main tbody tr, main .picks .pick";
  const ROW_TARGET = "th a[href], td a[href], input:not(:disabled)";

  /* Without access to the storage, shortcuts are enabled and a change lasts as long as the page. */
  let chosen = null;
  const enabled = () => {
    try {
      chosen ??= localStorage.getItem(STORAGE_KEY);
    } catch {
      chosen ??= "on";
    }
    return chosen !== "off";
  };
  function setEnabled(value) {
    chosen = value ? "on" : "off";
    try {
      localStorage.setItem(STORAGE_KEY, chosen);
    } catch {
      /* The choice lasts as long as the page. */
    }
  }

  const dialog = () => document.getElementById("keys");
  const shown = (element) => element.checkVisibility();
  const rows = () => [...document.querySelectorAll(ROWS)].filter((row) => row.querySelector(ROW_TARGET) && shown(row));
  const current = () => document.activeElement?.closest(ROWS);

  function say(words) {
    const place = document.getElementById("live-word");
    if (place) place.textContent = words;
  }

  function moveRow(by) {
    const all = rows();
    const at = all.indexOf(current());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    if (!next) return;
    next.querySelector(ROW_TARGET).focus();
    next.scrollIntoView({ block: "nearest" });
  }

  /* Click the target of a key: in the focused cell first, then in its row, then on the page. */
  function pressKey(key) {
    const wanted = `[data-key="${key}"]:not([disabled], [aria-disabled="true"])`;
    const cell = document.activeElement?.closest("td");
    const found = cell?.querySelector(wanted) ?? current()?.querySelector(wanted) ?? [...document.querySelectorAll(`main ${wanted}`)].find(shown);
    if (found) found.click();
    else say(`${key}: ${dialog().dataset.none}`);
  }

  function nextError() {
    const jump = document.querySelector('main [data-key="e"]:not([disabled])');
    if (jump) return jump.click();
    const wrong = [...document.querySelectorAll("main tr[data-wrong]")].filter(shown);
    if (!wrong.length) return say(`e: ${dialog().dataset.none}`);
    const next = wrong[(wrong.indexOf(current()) + 1) % wrong.length];
    next.querySelector(ROW_TARGET).focus();
    next.scrollIntoView({ block: "center" });
  }

  const KEYS = {
    "/": () => document.querySelector("[data-find]")?.focus(),
    j: () => moveRow(1),
    k: () => moveRow(-1),
    u: () => pressKey("u"),
    r: () => pressKey("r"),
    x: () => pressKey("x"),
    f: () => pressKey("f"),
    e: nextError,
    "?": () => dialog().showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !dialog() || !enabled()) return;
    if (event.target.closest(TEXT_FIELDS) || document.querySelector("dialog[open]")) return;
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  /* Enter would submit the form of the box. Instead it opens the row, or toggles the box where the row has no link. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input[type=checkbox], input[type=radio]")) return;
    const row = event.target.closest(ROWS);
    if (!row) return;
    event.preventDefault();
    if (enabled()) (row.querySelector("th a[href], td a[href]") ?? event.target).click();
  });

  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("keys-on");
    if (!box) return;
    box.checked = enabled();
    box.addEventListener("change", () => setEnabled(box.checked));
  });
})();
