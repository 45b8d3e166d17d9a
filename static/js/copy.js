/* Buttons with data-copies="TEXT" copy the text, those with data-copies-address the page's address as it is by then.
   They say so in their last element. console/copying.py renders them.

   The browser may have no clipboard (a page without https) or refuse it (a permission, a policy, a frame): then the text
   is copied as a selection, and where that is refused too, it is shown, selected, to be copied by a key. */
"use strict";
(() => {
  const SHOWN_FOR = 2000;

  async function copy(text, beside) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copySelection(text, beside);
    }
  }

  /* The field stands in the same dialog as the button: outside of an open one, nothing can be selected. */
  function copySelection(text, beside) {
    const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true, ariaLabel: beside.textContent.trim() });
    field.className = "visually-hidden";
    beside.after(field);
    field.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      /* As refused: the field is shown. */
    }
    if (done) {
      field.remove();
      beside.focus();
    } else {
      field.className = "to-copy";
      field.addEventListener("blur", () => field.remove());
    }
    return done;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies], [data-copies-address]");
    if (!button) return;
    event.preventDefault(); /* of a summary or label around it */
    const [drawing, words] = [button.querySelector("use"), button.lastElementChild];
    words.ariaLive = "polite";
    button.dataset.words ??= words.textContent;
    const said = (await copy(button.dataset.copies ?? location.href, button)) ? gettext("Copied") : gettext("Press Ctrl+C to copy");
    drawing.setAttribute("href", drawing.getAttribute("href").replace(/#.*/, said === gettext("Copied") ? "#ok" : "#copy"));
    words.textContent = said;
    clearTimeout(button.timer);
    button.timer = setTimeout(() => {
      drawing.setAttribute("href", drawing.getAttribute("href").replace(/#.*/, "#copy"));
      words.textContent = button.dataset.words;
      delete button.dataset.words;
    }, SHOWN_FOR);
  });
})();
