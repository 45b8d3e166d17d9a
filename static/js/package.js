/* Sends a package: the bytes go to the API with a progress bar while a worker computes their SHA-256, which is compared
   with the server's at the end. On a service's page the version is created first. */

/* Return what sends a file of the form, and stops. `bar`, `sent`, `say`: where the progress is shown. */
export function sender(form, { bar, sent, say }) {
  const token = form.elements.csrfmiddlewaretoken.value;
  let request = null;

  const size = (bytes) => `${(bytes / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} MB`;

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

  return { upload: uploadFile, abort: () => request?.abort() };
}
