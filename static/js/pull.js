/* Has the engine pull the base image of a recipe and shows how far it is; then the page looks into it again. */
"use strict";
(() => {
  const place = document.querySelector("[data-pull]");
  if (!place) return;
  const button = place.querySelector("button");
  const bar = place.querySelector("progress");
  const words = place.querySelector("[role=status]");
  const look = document.querySelector("button[name=do][value=look]");
  const token = look.form.elements.csrfmiddlewaretoken.value;
  const lost = () => new Error(gettext("The connection was lost. Pull again: what was loaded stays."));

  const says = (problem) => new Error([problem.detail, problem.hint].filter(Boolean).join(" "));
  const size = (bytes) => `${(bytes / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} MB`;

  function show({ layers, done, loaded, total }) {
    if (total) bar.value = loaded / total;
    else bar.removeAttribute("value");
    const values = { done, layers, loaded: size(loaded) };
    words.textContent = interpolate(gettext("%(done)s of %(layers)s layers, %(loaded)s loaded"), values, true);
  }

  /* Yield the objects of the answer's lines, as they come. */
  async function* states(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let begun = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (begun + value).split("\n");
      begun = lines.pop();
      yield* lines.filter(Boolean).map((line) => JSON.parse(line));
    }
  }

  async function pull() {
    const answer = await fetch("/api/v1/images/pull", {
      method: "POST",
      headers: { "X-CSRFToken": token, "Content-Type": "application/json" },
      body: JSON.stringify({ image: place.dataset.pull }),
    }).catch(() => { throw lost(); });
    if (!answer.ok) throw says(await answer.json().catch(() => ({ detail: answer.statusText })));
    try {
      for await (const state of states(answer)) {
        if (state.state === "pulling") show(state);
        if (state.state === "failed") return says(state.problem);
        if (state.state === "done") return null;
      }
    } catch {
      throw lost();
    }
    throw lost();
  }

  button.addEventListener("click", async () => {
    button.disabled = true;
    bar.hidden = false;
    words.textContent = "";
    try {
      const failed = await pull();
      if (failed) throw failed;
      look.click();
    } catch (error) {
      words.textContent = error.message;
      button.disabled = false;
      bar.hidden = true;
    }
  });
})();
