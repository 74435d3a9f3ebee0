// Renews what a form says of its consequences whenever the form changes: asks the server, which computes them as it
// would for the act itself. Without this script a button of the form does the same.
"use strict";

(function () {
  const form = document.querySelector("form[data-preview]");
  const target = document.querySelector("[data-preview-target]");
  if (!form || !target) return;
  let timer = null;
  let asked = 0;

  async function renew() {
    const number = ++asked;
    target.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(form.dataset.preview, {
        method: "POST",
        body: new FormData(form),
        credentials: "same-origin",
        redirect: "manual",
      });
      const text = response.ok ? await response.text() : null;
      if (number !== asked) return;
      if (text === null) throw new Error(String(response.status));
      target.innerHTML = text;
    } catch (error) {
      if (number !== asked) return;
      target.querySelector("[data-preview-stale]")?.removeAttribute("hidden");
    }
    target.removeAttribute("aria-busy");
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(renew, 500);
  });
})();
