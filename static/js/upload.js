/* Uploading a package: its hash is computed here first, then the bytes go to the API with a progress bar. */
"use strict";
(() => {
  const HASHED_AT_MOST = 512 * 1024 * 1024; // beyond this the browser would need the whole file in memory

  const form = document.querySelector("[data-upload]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const bar = form.querySelector("progress");
  const words = form.querySelector("[data-says]");
  const button = form.querySelector("button");

  for (const kind of ["dragover", "dragleave", "drop"]) {
    form.addEventListener(kind, (event) => {
      event.preventDefault();
      form.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) input.files = event.dataTransfer.files;
    });
  }

  async function digest(file) {
    if (file.size > HASHED_AT_MOST || !crypto.subtle) return "";
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    return `sha-256=:${btoa(String.fromCharCode(...hash))}:`;
  }

  function send(file, hash) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", form.dataset.upload);
      request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
      request.setRequestHeader("Content-Type", "application/gzip");
      if (hash) request.setRequestHeader("Content-Digest", hash);
      request.upload.onprogress = (event) => {
        bar.value = (100 * event.loaded) / event.total;
        words.textContent = event.loaded < event.total
          ? interpolate(gettext("%(percent)s % sent"), { percent: Math.round(bar.value) }, true) : gettext("Sent. The server checks it…");
      };
      request.onload = () => (request.status < 300 ? resolve() : reject(new Error(reason(request))));
      request.onerror = () => reject(new Error(gettext("The connection broke. Nothing was kept; send it again.")));
      request.send(file);
    });
  }

  function reason(request) {
    try {
      const problem = JSON.parse(request.responseText);
      return [problem.detail, problem.hint].filter(Boolean).join(" ");
    } catch {
      return interpolate(gettext("The server answered %(status)s."), { status: request.status }, true);
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = input.files[0];
    if (!file || button.disabled) return;
    button.disabled = true;
    bar.hidden = false;
    words.textContent = gettext("Computing its hash…");
    try {
      await send(file, await digest(file));
      location.reload();
    } catch (error) {
      words.textContent = error.message;
      button.disabled = false;
      bar.hidden = true;
    }
  });
})();
