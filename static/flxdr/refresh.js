// Keeps the element marked data-refresh as the server renders it now: asks with the last ETag, so an unchanged page
// costs one 304, and stops asking while nobody looks. Only the parts that changed are replaced, so neither the focus, nor
// how far somebody scrolled, nor what is unfolded is lost.
"use strict";

(function () {
  const target = document.querySelector("[data-refresh]");
  if (!target) return;
  const url = target.dataset.refresh;
  const seconds = Number(target.dataset.refreshSeconds);
  const known = new Map();
  let etag = null;
  let asking = false;

  function parts(root) {
    return [...root.querySelectorAll("[data-part]")];
  }

  function remember(found) {
    known.clear();
    found.forEach((part) => known.set(part.dataset.part, part.outerHTML));
  }

  function placeOf(element, root) {
    const alike = [...root.querySelectorAll(element.tagName)];
    return [element.tagName, alike.indexOf(element)];
  }

  function replace(old, fresh) {
    const focused = old.contains(document.activeElement) ? placeOf(document.activeElement, old) : null;
    const scrolled = [...old.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
    const unfolded = [...old.querySelectorAll("details")].map((details) => details.open);
    old.replaceWith(fresh);
    fresh.querySelectorAll(".scroll").forEach((box, index) => {
      if (scrolled[index]) [box.scrollLeft, box.scrollTop] = scrolled[index];
    });
    fresh.querySelectorAll("details").forEach((details, index) => {
      details.open = unfolded[index] ?? details.open;
    });
    if (focused) fresh.querySelectorAll(focused[0])[focused[1]]?.focus({ preventScroll: true });
  }

  function show(text) {
    const fresh = document.createElement("template");
    fresh.innerHTML = text;
    const now = parts(fresh.content);
    const before = parts(target);
    const isSame = now.length === before.length && now.every((part, index) => part.dataset.part === before[index].dataset.part);
    const changed = now.map((part) => known.get(part.dataset.part) !== part.outerHTML);
    remember(now);
    if (isSame) {
      now.forEach((part, index) => {
        if (changed[index]) replace(before[index], part);
      });
    } else {
      target.replaceChildren(fresh.content);
    }
    document.dispatchEvent(new Event("flxdr:refreshed"));
  }

  function tell(text, tone) {
    const status = document.querySelector("[data-refresh-status]");
    if (!status || status.textContent === text) return;
    status.textContent = text;
    status.className = `badge ${tone}`;
  }

  async function refresh() {
    if (document.hidden || asking) return;
    asking = true;
    try {
      const response = await fetch(url, {
        headers: etag ? { "If-None-Match": etag } : {},
        credentials: "same-origin",
        redirect: "manual",
      });
      if (response.status === 200) {
        etag = response.headers.get("ETag");
        show(await response.text());
        tell("live", "good");
      } else if (response.status === 304) {
        tell("live", "good");
      } else if (response.type === "opaqueredirect" || response.status === 403) {
        tell("signed out: reload the page to sign in again", "bad");
      } else {
        throw new Error(String(response.status));
      }
    } catch (error) {
      tell("stale: the coordinator does not answer", "bad");
    } finally {
      asking = false;
    }
  }

  remember(parts(target));
  setInterval(refresh, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
