/* The dialogs of upgrade, revert and install: the plan follows what is typed, and the button does what is shown.

   A click that comes before the plan for what was just typed waits for it. Where that plan is about the same hosts and
   versions, as the button names them, it is sent then; otherwise it is there to be looked at, and the page says so. */
"use strict";
(() => {
  const TYPING_PAUSE = 200; // milliseconds without a key until the plan is asked for
  const PLAN_TIMEOUT = 15000; // until what was typed is sent without having seen its plan: the server compares anyway

  const choose = document.getElementById("choose");
  if (!choose) return;
  let shown = query(true); // what the plan on the page is about
  let due = null;
  let pending = null; // {query, answer: Promise<boolean>, stop}
  let waiting = false;

  /* What is chosen now; or, with `drawn`, what the server drew: a page that the browser brings back keeps what was
     typed, beside a plan that is about something else. */
  function query(drawn) {
    const found = new URLSearchParams();
    for (const field of choose.elements) {
      if (!field.name || field.disabled || field.matches("[data-find], button")) continue;
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

  /* Whether the plan for what is chosen now has come. */
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

  /* The errors beside the fields, as the page with the new plan has them. */
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

  /* In the place of the plan that is there. Who is in it by keyboard stays there: on the button, or at its beginning. */
  function replacePlan(plan) {
    const old = document.getElementById("plan");
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(plan);
    if (!focused) return;
    plan.tabIndex = -1;
    (focused.matches("[data-confirms]") ? plan.querySelector("[data-confirms]") : plan).focus({ preventScroll: true });
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
    /* What is typed while it waits counts too. */
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

  /* The plan could not be had. What was typed goes to the server with the plan that was seen: it says what differs. */
  function fill(form) {
    const chosen = new URLSearchParams(query());
    for (const field of Array.from(form.elements))
      if (field.name && !["csrfmiddlewaretoken", "key", "plan_token"].includes(field.name)) field.remove();
    for (const [name, value] of chosen)
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
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

  choose.addEventListener("input", (event) => {
    if (!event.target.matches("[data-find]")) schedule(TYPING_PAUSE);
  });
  /* On the document, where page.js has ticked what belongs together by then. */
  document.addEventListener("change", (event) => {
    if (event.target.form === choose && !event.target.matches("[data-find]")) schedule();
  });
  addEventListener("pageshow", () => schedule());
})();
