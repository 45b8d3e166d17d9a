/* Package upload: the bytes go to the API with a progress bar while a worker computes their SHA-256, which is compared
   with the server's at the end. On a service's page the version is created first. */
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
  const token = form.elements.csrfmiddlewaretoken.value;
  let request = null;

  const say = (text, values = {}) => { words.textContent = interpolate(text, values, true); };
  const size = (bytes) => `${(bytes / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} MB`;

  /* A package may be dropped anywhere on a service's page, or on a service's row of the fleet: it opens the dialog. */
  const dropZone = dialog ? document.documentElement : form;
  const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    dropZone.addEventListener(kind, (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      dropZone.classList.toggle("over", kind === "dragover");
      if (kind !== "drop" || request || !event.dataTransfer.files.length || !hasTarget(event.target)) return;
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

  function hashFile(file, tell) {
    return new Promise((resolve, reject) => {
      const worker = new Worker(form.dataset.hasher);
      const end = (settle, value) => { worker.terminate(); settle(value); };
      worker.onmessage = ({ data }) => {
        if (data.done) tell(data.done);
        if (data.hex) end(resolve, data.hex);
        if (data.error) end(reject, new Error(data.error));
      };
      worker.onerror = (event) => end(reject, new Error(event.message));
      worker.postMessage(file);
    });
  }

  function sendRequest(method, url, body, type, progress) {
    return new Promise((resolve, reject) => {
      request = new XMLHttpRequest();
      request.open(method, url);
      request.setRequestHeader("X-CSRFToken", token);
      request.setRequestHeader("Content-Type", type);
      if (progress) request.upload.onprogress = progress;
      request.onload = () => (request.status < 300 ? resolve(JSON.parse(request.responseText)) : reject(toError(request)));
      request.onerror = () => reject(new Error(gettext("The connection was lost. Nothing was saved. Send the file again.")));
      request.onabort = () => reject(new Error(gettext("Stopped. Nothing was saved.")));
      request.send(body);
    });
  }
  const sendJson = (method, url, value) => sendRequest(method, url, JSON.stringify(value), "application/json");

  function toError({ status, responseText }) {
    try {
      const problem = JSON.parse(responseText);
      return new Error([problem.detail, problem.hint].filter(Boolean).join(" "));
    } catch {
      return new Error(interpolate(gettext("The server responded with status %(status)s."), { status }, true));
    }
  }

  async function checkFile(file) {
    if (file.size > Number(form.dataset.most)) throw new Error(gettext("The file is larger than the package limit."));
    /* By code, not by TextDecoder: its latin1 is Windows-1252, which has other characters from 0x80 on. */
    const begin = String.fromCharCode(...new Uint8Array(await file.slice(0, 262).arrayBuffer()));
    const known = ["\x1f\x8b", "BZh", "\xfd7zXZ", "PK\x03\x04"].some((mark) => begin.startsWith(mark));
    if (!known && !begin.startsWith("ustar", 257)) {
      // The server recognizes other formats by their first bytes and names the command that makes an archive.
      if (!form.elements.version) await sendRequest("PUT", form.dataset.upload, file.slice(0, 512), "application/octet-stream");
      throw new Error(gettext("Not a .tar.gz, .tar, .tar.bz2, .tar.xz or .zip archive."));
    }
  }

  async function packageUrl() {
    if (!form.elements.version) return form.dataset.upload;
    const { version, ref, description } = form.elements;
    const created = await sendJson("POST", form.dataset.upload, {
      version: version.value.trim(), ref: ref.value.trim() || "master", description: description.value.trim() });
    return `${form.dataset.upload}${created.id}/package`;
  }

  async function uploadFile(file) {
    await checkFile(file);
    const url = await packageUrl();
    const started = performance.now();
    let hashedSoFar = 0;
    const localHash = hashFile(file, (done) => { hashedSoFar = done; });
    localHash.catch(() => {}); /* awaited below; a failed upload is reported first */
    say(gettext("Uploading and computing the hash…"));
    const version = await sendRequest("PUT", url, file, "application/octet-stream", ({ loaded, total }) => {
      bar.value = (100 * loaded) / total;
      const left = ((performance.now() - started) / 1000 / Math.max(loaded, 1)) * (total - loaded);
      sent.textContent = interpolate(
        gettext("%(sent)s of %(total)s sent (%(percent)s %), about %(left)s s left; %(hashed)s hashed"),
        { sent: size(loaded), total: size(total), percent: Math.floor(bar.value), left: Math.ceil(left), hashed: size(hashedSoFar) }, true);
      if (loaded === total) say(gettext("Sent. The server is verifying the package…"));
    });
    const hash = await localHash;
    if (hash !== version.source_sha256) { /* in this response it is the hash of the received file */
      await sendJson("PATCH", url.replace(/\/package$/, ""), {
        bad: true, bad_reason: gettext("The upload was corrupted: the hashes differ") });
    }
    return form.dataset.page.replace("/0/", `/${version.id}/`) + `?sent=${hash}`;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = input.files[0];
    if (!file || button.disabled) return;
    button.disabled = true;
    bar.hidden = sent.hidden = stop.hidden = false;
    bar.value = 0;
    try {
      const page = await uploadFile(file);
      request = null;
      location.assign(page);
    } catch (error) {
      request = null;
      words.textContent = error.message;
      button.disabled = false;
      bar.hidden = sent.hidden = stop.hidden = true;
    }
  });
  dialog?.addEventListener("close", () => request?.abort());
  stop.addEventListener("click", () => request?.abort());
  addEventListener("beforeunload", (event) => { if (request) event.preventDefault(); });
})();
