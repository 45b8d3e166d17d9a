/* The dialogs of deploy, upgrade, revert and install: the plan follows the form, and the button confirms the plan that
   is shown.

   A click before the plan of the last change has arrived waits for it. If that plan names the same hosts and versions on
   its button, it is submitted; otherwise it is shown for review, with a message. A plan that arrives during the click,
   between press and release, waits for the release: a browser sends no click to a button that was replaced. */
"use strict";
(() => {
  const TYPING_PAUSE = 200; // milliseconds without a key until the plan is fetched
  const PLAN_TIMEOUT = 15000; // milliseconds until the form is submitted without its plan: the server compares anyway

  const choose = document.getElementById("choose");
  if (!choose) return;
  let shown = query(true); // the query of the plan on the page
  let due = null;
  let pending = null; // {query, answer: Promise<boolean>, stop}
  let waiting = false;
  let released = Promise.resolve(); // pending while the mouse or the space bar is pressed on the plan

  /* Return the form's values as a query; with `drawn`, those that the server rendered: a page that the browser restores
     keeps the user's input beside a plan of other values. */
  function query(drawn) {
    const found = new URLSearchParams();
    for (const field of choose.elements) {
      if (!field.name || field.disabled || field.matches("[data-find], [data-note], button")) continue;
      if (field.matches("[type=checkbox], [type=radio]")) {
        if (drawn ? field.defaultChecked : field.checked) found.append(field.name, field.value);
      } else if (field.matches("select")) {
        const options = [...field.options];
        const drew = options.find((option) => option.defaultSelected) ?? options[0];
        found.append(field.name, drawn ? drew.value : field.value);
      } else found.append(field.name, drawn ? field.defaultValue : field.value);
    }
    return found.toString();
  }

  function schedule(pause = 0) {
    clearTimeout(due);
    due = setTimeout(fetchPlan, pause);
  }

  /* Fetch the plan of the form's values. Resolves to whether it is on the page. */
  function fetchPlan() {
    clearTimeout(due);
    const wanted = query();
    if (pending?.query === wanted) return pending.answer;
    pending?.stop.abort();
    pending = null;
    busy(wanted !== shown);
    if (wanted === shown) return Promise.resolve(true);
    const stop = new AbortController();
    const request = (pending = { query: wanted, stop, answer: loadPlan(wanted, stop) });
    request.answer.then(() => {
      if (pending === request) {
        pending = null;
        busy(query() !== shown);
      }
    });
    return request.answer;
  }

  async function loadPlan(wanted, stop) {
    const late = setTimeout(() => stop.abort(), PLAN_TIMEOUT);
    try {
      const answer = await fetch(`${location.pathname}?${wanted}`, { signal: stop.signal, cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const plan = page.getElementById("plan");
      clearTimeout(late);
      await released;
      if (!plan || stop.signal.aborted) return false;
      replacePlan(document.adoptNode(plan));
      showErrors(page);
      shown = wanted;
      history.replaceState(history.state, "", `${location.pathname}?${wanted}`);
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(late);
    }
  }

  /* Copy the errors beside the fields from the page with the new plan. */
  function showErrors(page) {
    for (const place of choose.querySelectorAll("[id$=-errors]"))
      place.replaceChildren(...(page.getElementById(place.id)?.childNodes ?? []));
    for (const field of choose.elements)
      for (const name of ["aria-invalid", "aria-describedby"]) {
        const value = field.id && page.getElementById(field.id)?.getAttribute(name);
        if (value) field.setAttribute(name, value);
        else field.removeAttribute(name);
      }
  }

  /* Replace the plan. A keyboard focus inside stays inside: on the button, or at the beginning. */
  function replacePlan(plan) {
    const old = document.getElementById("plan");
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(plan);
    htmx.process(plan); // its lists have links to more rows
    if (!focused) return;
    const begin = plan.firstElementChild; // the plan itself has no box: its last line sticks to the window
    begin.tabIndex = -1;
    (focused.matches("[data-confirms]") ? plan.querySelector("[data-confirms]") : begin).focus({ preventScroll: true });
  }

  function busy(is) {
    document.getElementById("plan").toggleAttribute("data-behind", is);
  }

  const labelOf = (button) => button?.textContent.replace(/\s+/g, " ").trim();

  async function send(clicked) {
    const confirmed = labelOf(clicked);
    clicked.classList.add("busy");
    clicked.setAttribute("aria-busy", "true");
    let loaded = false;
    /* Input during the wait counts too. */
    for (let wanted = null; wanted !== query(); ) {
      wanted = query();
      loaded = await fetchPlan();
    }
    const button = document.querySelector("#plan [data-confirms]");
    button.classList.remove("busy");
    button.removeAttribute("aria-busy");
    if (loaded && (labelOf(button) !== confirmed || button.getAttribute("aria-disabled"))) return askToReview(button);
    if (!loaded && button.form !== choose) fill(button.form);
    waiting = "sent";
    button.form.requestSubmit(button);
    waiting = false;
  }

  function askToReview(button) {
    waiting = false;
    if (button.getAttribute("aria-disabled")) return;
    document.getElementById("plan-word").hidden = false;
    button.focus();
  }

  /* The plan could not be fetched: submit the form's values with the plan that was shown. The server says what differs. */
  function fill(form) {
    const chosen = new URLSearchParams(query());
    for (const field of Array.from(form.elements))
      if (field.name && !["csrfmiddlewaretoken", "key", "plan_token"].includes(field.name)) field.remove();
    for (const [name, value] of chosen)
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }

  /* A menu, a drag or another window may take the release, so they end the press too. The click comes in the same task as
     the release, thus before the timer. */
  function press(...ends) {
    released = new Promise((resolve) => {
      for (const kind of [...ends, "contextmenu", "dragend", "blur"])
        addEventListener(kind, () => setTimeout(resolve), { once: true }); // not captured: that is the window's blur alone
    });
  }

  document.addEventListener(
    "submit",
    (event) => {
      if (!event.submitter?.matches("[data-confirms]") || waiting === "sent") return;
      const impossible = event.submitter.getAttribute("aria-disabled");
      if (!waiting && query() === shown && !impossible) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (waiting || (impossible && query() === shown)) return;
      waiting = true;
      send(event.submitter);
    },
    true,
  );

  /* What no plan depends on is sent as it is now. */
  document.addEventListener("formdata", (event) => {
    const note = choose.elements.note;
    if (note && event.target.querySelector("[data-confirms]")) event.formData.set("note", note.value);
  });

  choose.addEventListener("input", (event) => {
    if (!event.target.matches("[data-find]")) schedule(TYPING_PAUSE);
  });
  /* On the document: page.js has updated related boxes by then. */
  document.addEventListener("change", (event) => {
    if (event.target.form === choose && !event.target.matches("[data-find]")) schedule();
  });
  /* Fill in the strategy that the plan proposes; all else stays as it was typed. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#plan [data-fills]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const values = new URL(link.href).searchParams;
    for (const name of link.dataset.fills.split(" ")) {
      const field = choose.elements[name];
      if (field?.type === "checkbox") field.checked = values.has(name);
      else if (field) field.value = values.get(name) ?? field.options?.[0].value ?? "";
    }
    schedule();
  });
  document.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.target.closest("#plan")) press("pointerup", "pointercancel");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && !event.repeat && event.target.closest("#plan")) press("keyup");
  });
  addEventListener("pageshow", () => schedule());
})();
