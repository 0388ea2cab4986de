// Nothing here is needed: pages work without it. Themes, times in the local zone, keys, and the live view.
"use strict";
const kept = {
  get: (name) => { try { return localStorage.getItem(`tollbell-${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`tollbell-${name}`, value); } catch { /* private window */ } },
};
const THEMES = ["system", "light", "dark"];
const setTheme = (theme) => {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
};
setTheme(kept.get("theme") || "system"); // before anything is painted

const two = (number) => String(number).padStart(2, "0");
const local = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
const utc = (at) => at.toISOString().slice(0, 19).replace("T", " ");
const showTimes = (within) => {
  const isLocal = kept.get("zone") === "local";
  for (const time of within.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    if (time.hasAttribute("data-both")) time.textContent = utc(at) === local(at) ? `${utc(at)} UTC` : `${utc(at)} UTC · ${local(at)} local`;
    else time.textContent = isLocal ? local(at) : utc(at);
    time.title = isLocal ? `${utc(at)} UTC` : `${local(at)} local`;
  }
  for (const name of within.querySelectorAll("[data-zone-name]")) name.textContent = isLocal ? "local" : "UTC";
};

const fetched = async (url, options) => {
  const answer = await fetch(url, { credentials: "same-origin", ...options });
  return [answer, answer.status === 304 ? null : new DOMParser().parseFromString(await answer.text(), "text/html")];
};

// Links and forms with data-swap="main" replace that part of the page instead of all of it.
const swap = async (url, id) => {
  const [answer, page] = await fetched(url);
  const [old, made] = [document.getElementById(id), page.getElementById(id)];
  if (!answer.ok || !old || !made) return location.assign(url);
  old.replaceWith(document.adoptNode(made));
  document.title = page.title;
  begin(made);
};
const swapped = (event) => {
  const form = event.type === "submit" && event.target.closest("form[data-swap][action]:not([method])");
  const link = event.type === "click" && !event.metaKey && !event.ctrlKey && !event.shiftKey && event.target.closest("a[data-swap]");
  const from = form || link;
  if (!from) return;
  event.preventDefault();
  const query = form && new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const url = form ? `${form.getAttribute("action")}?${query}` : from.href;
  history.pushState(null, "", url);
  swap(url, from.dataset.swap);
};

let timer = 0;
const live = (region) => {
  clearTimeout(timer);
  const seconds = region && Number(region.dataset.poll);
  const button = document.querySelector("[data-pause]");
  const said = document.querySelector("[data-live-said]");
  if (!seconds || !button) return;
  let tag = "";
  const isPaused = () => kept.get("paused") === "yes";
  const say = () => { button.textContent = isPaused() ? "Resume" : "Pause"; if (isPaused()) said.textContent = "Paused"; else if (said.textContent === "Paused" || !said.textContent) said.textContent = "Live"; };
  // While a person reads, selects or types in it, it stays as it is.
  const isInUse = () => region.contains(document.activeElement) || region.querySelector("details[open]") || String(getSelection());
  const look = async () => {
    if (!region.isConnected) return;
    if (document.visibilityState === "visible" && !isPaused() && !isInUse()) {
      try {
        const headers = { "Tollbell-Fragment": "live", ...(tag && { "If-None-Match": tag }) };
        const [answer, page] = await fetched(location.href, { headers });
        if (answer.status === 401) return location.reload();
        if (page && answer.ok && !isInUse()) {
          const known = new Set([...region.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
          region.replaceChildren(...[...page.body.childNodes].map((node) => document.adoptNode(node)));
          for (const row of region.querySelectorAll("[data-id]")) if (tag && !known.has(row.dataset.id)) row.classList.add("new");
          showTimes(region);
          if (tag) said.textContent = `Changed ${local(new Date()).slice(11)}`;
          tag = answer.headers.get("ETag") || "";
          if (region.querySelector("[data-last]")) { button.hidden = true; said.textContent = ""; return; } // no more will come
        } else if (page && !answer.ok) said.textContent = `Not live: ${answer.status}`;
      } catch { said.textContent = "Not live: no connection"; }
    }
    timer = setTimeout(look, seconds * 1000);
  };
  button.hidden = false;
  button.onclick = () => { kept.set("paused", isPaused() ? "no" : "yes"); say(); };
  say();
  timer = setTimeout(look, seconds * 1000);
};

const begin = (within) => {
  showTimes(within);
  live(document.getElementById("live"));
};

let isGoing = false;
const keyed = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const root = document.body.dataset.root;
  const places = { o: "/", e: "/events", r: "/rules", c: "/channels", u: "/customers", j: "/jobs", x: "/explain" };
  if (isGoing && places[event.key]) location.assign(root + places[event.key]);
  isGoing = event.key === "g";
  const search = document.querySelector("[data-search]");
  if (event.key === "/" && search) { event.preventDefault(); search.focus(); }
  if (event.key === "?") document.getElementById("keys")?.showModal();
  if (event.key === "p") document.querySelector("[data-pause]:not([hidden])")?.click();
};

document.addEventListener("DOMContentLoaded", () => {
  begin(document);
  document.addEventListener("click", swapped);
  document.addEventListener("submit", swapped);
  document.addEventListener("keydown", keyed);
  window.addEventListener("popstate", () => location.reload());
  const [theme, zone] = [document.querySelector("[data-theme-next]"), document.querySelector("[data-zone]")];
  const say = () => {
    if (!theme) return;
    theme.textContent = { light: "Light", dark: "Dark" }[kept.get("theme")] || "Auto";
    zone.textContent = kept.get("zone") === "local" ? "Local" : "UTC";
    theme.hidden = zone.hidden = false;
  };
  theme?.addEventListener("click", () => {
    kept.set("theme", THEMES[(THEMES.indexOf(kept.get("theme") || "system") + 1) % THEMES.length]);
    setTheme(kept.get("theme"));
    say();
  });
  zone?.addEventListener("click", () => { kept.set("zone", kept.get("zone") === "local" ? "UTC" : "local"); showTimes(document); say(); });
  for (const button of document.querySelectorAll("[data-copy]")) { // works on plain http, where there is no clipboard
    button.hidden = false;
    button.addEventListener("click", () => { document.getElementById(button.dataset.copy).select(); document.execCommand("copy"); button.textContent = "Copied"; });
  }
  say();
});
