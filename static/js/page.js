/* What every page does: ages that stay true, dialogs, forms that are sent once, selections.
   The attributes by which templates speak to the scripts are listed in README.md beside it. */
"use strict";
(() => {
  const UNITS = [
    [86400, gettext("%(n)s d ago")],
    [3600, gettext("%(n)s h ago")],
    [60, gettext("%(n)s min ago")],
    [1, gettext("%(n)s s ago")],
  ];

  function age(seconds) {
    if (seconds < 5) return gettext("just now");
    const [length, words] = UNITS.find((unit) => seconds >= unit[0]);
    return interpolate(words, { n: Math.floor(seconds / length) }, true);
  }

  /* The server writes clock times in the zone of the cookie. Without a cookie, the browser rewrites them here. */
  const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const elsewhere = ZONE && document.documentElement.dataset.zone !== ZONE;
  const secure = location.protocol === "https:" ? "; secure" : "";
  if (elsewhere) document.cookie = `zone=${ZONE}; path=/; max-age=31536000; samesite=lax${secure}`;

  function clock(moment) {
    const part = Object.fromEntries(
      new Intl.DateTimeFormat("en-GB", {
        year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
        hourCycle: "h23", timeZoneName: "short",
      }).formatToParts(moment).map(({ type, value }) => [type, value]),
    );
    return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second} ${part.timeZoneName}`;
  }

  /* Ages in words, with the clock time as title. */
  function refreshAges(root = document) {
    for (const element of root.querySelectorAll("time[data-age]")) {
      const moment = new Date(element.dateTime);
      const words = age((Date.now() - moment) / 1000);
      if (element.textContent !== words) element.textContent = words;
      if (elsewhere) element.title = clock(moment);
    }
    if (!elsewhere) return;
    for (const element of root.querySelectorAll("time[data-clock]")) element.textContent = clock(new Date(element.dateTime));
  }
  setInterval(refreshAges, 10000);

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    const opened = opener && document.getElementById(opener.dataset.opens);
    if (opened) {
      nameTicked(opened);
      opened.showModal();
    }
    if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
    if (event.target instanceof HTMLDialogElement) event.target.close();
  });

  /* The server starts one deployment however often a form is submitted; this only acknowledges the click. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]") || event.defaultPrevented) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    const button = event.submitter;
    if (!button) return;
    button.classList.add("busy");
    button.setAttribute("aria-busy", "true");
    if (form.dataset.waits) button.textContent = form.dataset.waits;
  });
  /* A theme is chosen without leaving the page, and what is typed in it. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-themes]")) return;
    event.preventDefault();
    const chosen = event.submitter;
    document.documentElement.dataset.theme = chosen.value;
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", button === chosen);
    fetch(form.action, { method: "POST", body: new FormData(form, chosen), redirect: "manual" });
  });
  /* A page restored from the back/forward cache may submit its forms again. */
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of document.querySelectorAll(".busy")) {
      button.classList.remove("busy");
      button.removeAttribute("aria-busy");
    }
  });

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.form?.matches("[data-auto]") && field.matches("select")) field.form.requestSubmit();
    if (field.matches("[data-all]")) {
      for (const box of boxes(field.dataset.all)) box.checked = field.checked;
    }
    if (field.matches(".part input[type=checkbox]") && field.checked) field.closest(".part").querySelector("details").open = true;
    if (field.matches("[data-means]") && field.checked) choose(field.dataset.means);
    countTicks();
  });

  /* A list or a text that says something means its choice while it is typed: plan.js reads the form soon after. */
  document.addEventListener("input", ({ target }) => {
    if (target.matches("[data-means]:not([type=checkbox])") && target.value) choose(target.dataset.means);
  });

  function choose(id) {
    document.getElementById(id).checked = true;
  }

  function boxes(name) {
    return document.querySelectorAll(`input[type=checkbox][name="${CSS.escape(name)}"]:not(:disabled)`);
  }

  /* The box that means all of them, also those beyond the page; its value is how many they are. */
  function everyBox(name) {
    return document.querySelector(`[data-every="${CSS.escape(name)}"]:checked`);
  }

  function countTicks() {
    for (const place of document.querySelectorAll("[data-count]")) {
      const every = everyBox(place.dataset.count);
      const ticked = every ? Number(every.value) : [...boxes(place.dataset.count)].filter((box) => box.checked).length;
      place.textContent = ticked ? interpolate(gettext("%(n)s selected"), { n: ticked }, true) : gettext("none selected");
      for (const button of document.querySelectorAll(`[data-needs="${CSS.escape(place.dataset.count)}"]`)) button.disabled = !ticked;
    }
  }

  /* A confirmation lists what was selected. */
  function nameTicked(dialog) {
    for (const list of dialog.querySelectorAll("[data-ticked]")) {
      const every = everyBox(list.dataset.ticked);
      const names = every
        ? [every.labels[0].textContent.trim()]
        : [...boxes(list.dataset.ticked)].filter((box) => box.checked).map((box) => box.ariaLabel);
      list.replaceChildren(...names.map((name) => Object.assign(document.createElement("li"), { textContent: name })));
    }
  }

  document.addEventListener("htmx:after:swap", () => {
    refreshAges();
    countTicks();
  });
  /* The first field or button that was refused is what the person came back for. */
  function showWrong() {
    const wrong = document.querySelector("main .wrong");
    if (!wrong) return;
    const dialog = wrong.closest("dialog");
    if (dialog) {
      nameTicked(dialog);
      dialog.showModal();
    }
    for (let part = wrong.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    (wrong.closest(".field")?.querySelector("input, select, textarea") ?? wrong).focus();
  }

  document.addEventListener("DOMContentLoaded", () => {
    refreshAges();
    showWrong();
    countTicks();
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest" }); // on a phone it may be outside
  });
})();
