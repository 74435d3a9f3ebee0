// Replaces the element marked data-refresh with the server's newest rendering of it: asks with the last ETag, so an
// unchanged page costs one 304, and stops asking while nobody looks.
"use strict";

(function () {
  const target = document.querySelector("[data-refresh]");
  if (!target) return;
  const url = target.dataset.refresh;
  const seconds = Number(target.dataset.refreshSeconds);
  const status = document.querySelector("[data-refresh-status]");
  let etag = null;

  async function refresh() {
    if (document.hidden) return;
    try {
      const response = await fetch(url, {
        headers: etag ? { "If-None-Match": etag } : {},
        credentials: "same-origin",
        redirect: "error",
      });
      if (response.status === 200) {
        etag = response.headers.get("ETag");
        target.innerHTML = await response.text();
      } else if (response.status !== 304) {
        throw new Error(String(response.status));
      }
      status.textContent = "live";
      status.className = "badge good";
    } catch (error) {
      status.textContent = "stale: the coordinator does not answer";
      status.className = "badge bad";
    }
  }

  setInterval(refresh, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
