/* The form of a package: files dropped on the page, the suggested version, the button. package.js sends the file; it is
   loaded when the button is clicked, so that the first page stays small. */
"use strict";
(() => {
  const form = document.querySelector("[data-upload]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const bar = form.querySelector("progress");
  const sent = form.querySelector("[data-sent-so-far]");
  const words = form.querySelector("[data-says]");
  const button = form.querySelector("[data-go]");
  const stop = form.querySelector("[data-stop]");
  const dialog = form.closest("dialog");
  let sending = null; /* what is under way */

  const say = (text, values = {}) => { words.textContent = interpolate(text, values, true); };

  /* A package may be dropped anywhere on a service's page, or on a service's row of the fleet: it opens the dialog. */
  const dropZone = dialog ? document.documentElement : form;
  const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    dropZone.addEventListener(kind, (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      dropZone.classList.toggle("over", kind === "dragover");
      if (kind !== "drop" || sending || !event.dataTransfer.files.length || !hasTarget(event.target)) return;
      input.files = event.dataTransfer.files;
      if (dialog && !dialog.open) dialog.showModal();
      fileChosen();
    });
  }
  input.addEventListener("change", fileChosen);

  /* Return whether the package's service is known. */
  function hasTarget(target) {
    if (form.dataset.upload) return true;
    const row = target.closest?.("tr[id^='service-']");
    if (!row) return false;
    const link = row.querySelector("th a");
    form.dataset.upload = `/api/v1/services/${row.id.slice("service-".length)}/versions/`;
    form.dataset.page = `${link.pathname}versions/0/`;
    form.dataset.service = form.querySelector("[data-service-name]").textContent = link.textContent;
    dialog.addEventListener("close", () => { form.dataset.upload = form.elements.version.value = ""; }, { once: true });
    return true;
  }

  /* Suggest a version from the file name if the field is empty. */
  function fileChosen() {
    words.textContent = "";
    const field = form.elements.version;
    const file = input.files[0];
    if (!file || !field || field.value) return;
    const name = file.name.replace(/\.(tar(\.(gz|bz2|xz))?|t[gbx]z2?|zip)$/i, "").replace(`${form.dataset.service}-`, "");
    field.value = name.replace(/[^A-Za-z0-9._+-]/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 128);
    field.focus();
    field.select();
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = input.files[0];
    if (!file || button.disabled) return;
    button.disabled = true;
    bar.hidden = sent.hidden = stop.hidden = false;
    bar.value = 0;
    try {
      const { sender } = await import(form.dataset.sender);
      sending = sender(form, { bar, sent, say });
      const page = await sending.upload(file);
      sending = null;
      location.assign(page);
    } catch (error) {
      sending = null;
      words.textContent = error.message;
      button.disabled = false;
      bar.hidden = sent.hidden = stop.hidden = true;
    }
  });
  dialog?.addEventListener("close", () => sending?.abort());
  stop.addEventListener("click", () => sending?.abort());
  addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });
})();
