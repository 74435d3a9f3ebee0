// Keeps "4 min ago" true while a page is open: the moment stands in each <time>, the words came from the server.
"use strict";

(function () {
  const formatter = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "always", style: "short" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

  function age(seconds) {
    const found = units.find(([, size]) => Math.abs(seconds) >= size);
    if (!found) return null;
    return formatter.format(Math.trunc(seconds / found[1]), found[0]);
  }

  function renew() {
    if (document.hidden) return;
    const now = Date.now();
    document.querySelectorAll("time[datetime] > .age").forEach((element) => {
      const text = age((Date.parse(element.parentElement.dateTime) - now) / 1000);
      if (text !== null && element.textContent !== text) element.textContent = text;
    });
  }

  setInterval(renew, 20000);
  document.addEventListener("visibilitychange", renew);
})();
