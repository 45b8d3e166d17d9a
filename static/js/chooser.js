/* Fields in which rows are chosen by name (templates/chooser.html): a combobox that finds names while its user types, and
   a dialog in which what is missing is made. A name that is typed and not proposed is sent as it is: the server knows.

     data-chooser="URL"         the field's surroundings, and where names are found
     data-many="NAME"           several may be chosen: each is a ticked box of that name above the field
     data-makes="ID"            a link to the page that makes one: opened as a dialog, and back with the new one chosen;
                                beside a list, ID is its search
     data-ticks="NAME"          and the new one's box of that name is ticked */
"use strict";
(() => {
  const PAUSE = 150; // milliseconds without a key until names are fetched
  let shown = null; // {chooser, input, box, list}: the list that is open
  let due = null;
  let request = null;
  let lists = 0;

  const chooserOf = (target) => target.closest?.("[data-chooser]");
  const inputOf = (chooser) => chooser.querySelector(".chooser-box input");

  function prepare(root) {
    for (const chooser of root.querySelectorAll("[data-chooser]")) {
      const input = inputOf(chooser);
      if (chooser.querySelector(".chooser-list")) continue;
      const id = `choices-${++lists}`;
      const list = Object.assign(document.createElement("ul"), { id, role: "listbox", className: "choices" });
      list.setAttribute("aria-label", gettext("Matches"));
      const says = Object.assign(document.createElement("p"), { className: "muted small", role: "status" });
      const box = Object.assign(document.createElement("div"), { className: "chooser-list", hidden: true });
      box.append(list, says);
      input.after(box);
      input.role = "combobox";
      input.setAttribute("aria-autocomplete", "list");
      input.setAttribute("aria-expanded", "false");
      input.setAttribute("aria-controls", id);
      input.dataset.known = input.defaultValue;
    }
  }

  function openList(chooser, pause = 0) {
    const input = inputOf(chooser);
    if (input.disabled) return;
    if (shown?.chooser !== chooser) closeList();
    clearTimeout(due);
    due = setTimeout(() => fetchNames(chooser, input), pause);
  }

  function closeList() {
    clearTimeout(due);
    request?.abort();
    if (!shown) return;
    shown.box.hidden = true;
    shown.input.setAttribute("aria-expanded", "false");
    shown.input.removeAttribute("aria-activedescendant");
    shown = null;
  }

  async function fetchNames(chooser, input) {
    request?.abort();
    const stop = (request = new AbortController());
    /* What is chosen already is no search: all names are shown, to choose another one. */
    const q = input.value === input.dataset.known ? "" : input.value.trim();
    try {
      const answer = await fetch(`${chooser.dataset.chooser}?${new URLSearchParams({ q })}`, { signal: stop.signal });
      if (!answer.ok) return closeList();
      const { found, more } = await answer.json();
      if (document.activeElement === input && input.isConnected) show(chooser, input, found, more);
    } catch {
      /* stopped, or without a connection: the name can be typed all the same */
    }
  }

  function show(chooser, input, found, more) {
    const box = chooser.querySelector(".chooser-list");
    const [list, says] = box.children;
    const chosen = new Set(boxesOf(chooser).map((one) => one.value));
    const left = found.filter((one) => !chosen.has(one.name));
    list.replaceChildren(...left.map((one, at) => option(one, `${list.id}-${at}`)));
    list.hidden = !left.length;
    says.textContent = more ? gettext("There are more. Type to find one.") : left.length ? "" : gettext("No match.");
    says.hidden = !says.textContent;
    if (box.hidden) {
      box.hidden = false;
      box.scrollIntoView({ block: "nearest" });
    }
    input.setAttribute("aria-expanded", String(Boolean(left.length)));
    input.removeAttribute("aria-activedescendant");
    shown = { chooser, input, box, list };
  }

  function option({ name, detail }, id) {
    const row = Object.assign(document.createElement("li"), { id, role: "option" });
    row.dataset.name = name;
    row.ariaSelected = "false";
    row.append(Object.assign(document.createElement("span"), { className: "break", textContent: name }));
    if (detail) row.append(Object.assign(document.createElement("span"), { className: "muted small", textContent: detail }));
    return row;
  }

  const activeOption = () => shown?.list.querySelector("[aria-selected=true]");

  function move(by) {
    const rows = [...shown.list.children];
    if (!rows.length) return;
    const old = rows.indexOf(activeOption());
    const at = old < 0 ? (by > 0 ? 0 : rows.length - 1) : (old + by + rows.length) % rows.length;
    rows.forEach((row, index) => (row.ariaSelected = String(index === at)));
    rows[at].scrollIntoView({ block: "nearest" });
    shown.input.setAttribute("aria-activedescendant", rows[at].id);
  }

  function boxesOf(chooser) {
    return [...chooser.querySelectorAll(".chosen input")];
  }

  function choose(chooser, name) {
    const input = inputOf(chooser);
    if (chooser.dataset.many) {
      addBox(chooser, name);
      input.value = "";
    } else input.value = name;
    input.dataset.known = input.value;
    input.removeAttribute("aria-invalid");
    closeList();
    input.dispatchEvent(new Event("change", { bubbles: true }));
    if (input.form?.matches("[data-auto]")) input.form.requestSubmit();
  }

  function addBox(chooser, name) {
    const old = boxesOf(chooser).find((one) => one.value === name);
    if (old) return void (old.checked = true);
    const tick = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, value: name });
    tick.name = chooser.dataset.many;
    const label = Object.assign(document.createElement("label"), { className: "row" });
    label.append(tick, Object.assign(document.createElement("span"), { className: "break", textContent: name }));
    const row = document.createElement("li");
    row.append(label);
    chooser.querySelector(".chosen").append(row);
  }

  document.addEventListener("input", (event) => {
    const chooser = chooserOf(event.target);
    if (chooser && event.target === inputOf(chooser)) openList(chooser, PAUSE);
  });
  document.addEventListener("click", (event) => {
    const row = event.target.closest(".chooser-list [role=option]");
    if (row) return choose(chooserOf(row), row.dataset.name);
    const chooser = chooserOf(event.target);
    if (chooser && event.target === inputOf(chooser) && !shown) openList(chooser);
  });
  /* A press on the list keeps the focus in the field; one outside closes the list. */
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest(".chooser-list")) event.preventDefault();
  });
  document.addEventListener("focusout", (event) => {
    if (shown && event.target === shown.input) closeList();
  });
  document.addEventListener("keydown", (event) => {
    const chooser = chooserOf(event.target);
    if (!chooser || event.target !== inputOf(chooser) || event.isComposing) return;
    const isOpen = shown?.chooser === chooser;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (isOpen) move(event.key === "ArrowDown" ? 1 : -1);
      else openList(chooser);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      closeList();
    } else if (event.key === "Enter") {
      const row = isOpen && activeOption();
      if (row) choose(chooser, row.dataset.name);
      else if (chooser.dataset.many && event.target.value.trim()) addTyped(chooser, event.target.value.trim().toLowerCase());
      else return;
      event.preventDefault();
    }
  });

  /* Where several are chosen, Enter adds the name that is typed in full, and does not send the form. */
  function addTyped(chooser, name) {
    const rows = shown?.chooser === chooser ? [...shown.list.children] : [];
    const same = rows.find((row) => row.dataset.name.toLowerCase() === name) ?? (rows.length === 1 ? rows[0] : null);
    if (same) choose(chooser, same.dataset.name);
    else openList(chooser);
  }

  /* The dialog in which one is made. */
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-makes]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const chooser = chooserOf(link);
    const input = chooser ? inputOf(chooser) : null;
    const depth = document.querySelectorAll("dialog.making").length + 1;
    const url = new URL(link.href);
    const typed = input && input.value !== input.dataset.known ? input.value.trim() : "";
    if (typed) url.searchParams.set("name", typed);
    const answer = await send(url, depth);
    if (!answer) return void window.open(link.href);
    const dialog = Object.assign(document.createElement("dialog"), { className: "making" });
    dialog.setAttribute("aria-labelledby", `new${depth}-title`);
    document.body.append(dialog);
    await fill(dialog, answer);
    /* A press beside the dialog does not close it: what is typed in it would be lost. */
    dialog.addEventListener("click", (press) => press.target === dialog && press.stopPropagation());
    const take = chooser ? (made) => choose(chooser, made.name) : (made) => find(link, made);
    dialog.addEventListener("submit", (submit) => submitted(submit, dialog, take, depth));
    dialog.addEventListener("close", () => {
      dialog.remove();
      (input ?? link).focus();
    });
    dialog.showModal();
  });

  /* Beside a list with a search: search for the new one and, when it is there, tick its box. */
  function find(link, { id, name }) {
    const search = document.getElementById(link.dataset.makes);
    if (!search) return;
    search.value = name;
    document.addEventListener("htmx:after:swap", function arrived() {
      const box = document.querySelector(`input[name="${link.dataset.ticks}"][value="${id}"]:not(:disabled)`);
      if (!box) return;
      document.removeEventListener("htmx:after:swap", arrived);
      box.checked = true;
      box.dispatchEvent(new Event("change", { bubbles: true }));
    });
    search.dispatchEvent(new Event("input", { bubbles: true }));
  }

  async function submitted(event, dialog, take, depth) {
    event.preventDefault();
    event.stopPropagation();
    const form = event.target;
    const button = event.submitter;
    if (form.dataset.sent) return;
    form.dataset.sent = "1";
    button?.classList.add("busy");
    const answer = await send(form.action, depth, new FormData(form));
    delete form.dataset.sent;
    button?.classList.remove("busy");
    const kind = answer?.headers.get("Content-Type") ?? "";
    if (kind.startsWith("application/json")) {
      const made = await answer.json();
      dialog.close();
      take(made);
      document.getElementById("live-word").textContent = made.says;
    } else if (kind.startsWith("text/html")) {
      await fill(dialog, answer);
      (dialog.querySelector("[aria-invalid=true]") ?? dialog.querySelector("input, button"))?.focus();
    } else refuse(form);
  }

  async function send(url, depth, body) {
    try {
      const answer = await fetch(url, { method: body ? "POST" : "GET", body, headers: { "X-Dialog": String(depth) }, cache: "no-store" });
      return answer.status === 401 || answer.status >= 500 ? null : answer;
    } catch {
      return null;
    }
  }

  async function fill(dialog, answer) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    dialog.replaceChildren(...[...page.body.childNodes].map((node) => document.adoptNode(node)));
    prepare(dialog);
  }

  /* Nothing typed is lost where the server did not answer or the session has ended. */
  function refuse(form) {
    const says = Object.assign(document.createElement("p"), {
      className: "wrong",
      role: "alert",
      textContent: gettext("No answer. Is your session still open? Look in another tab, then try again."),
    });
    form.querySelector(".wrong[role=alert]")?.remove();
    form.querySelector(".body").prepend(says);
  }

  prepare(document);
  /* A live part that is fetched again comes without what was added here. */
  document.addEventListener("htmx:after:swap", () => {
    prepare(document);
    if (!shown || shown.box.isConnected) return;
    const { chooser, input } = shown;
    shown = null;
    if (document.activeElement === input) openList(chooser);
  });
})();
