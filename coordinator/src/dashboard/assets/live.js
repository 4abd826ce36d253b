// Keeps a page fresh in place. The page is complete without this file: whatever is shown here the server rendered.
//
// The event stream only says that something changed; then the same page is fetched again and its live parts
// exchanged. One thing decides whether the page may be believed: whether the last fetch succeeded.
"use strict";

const AT_MOST_EVERY_MS = 2000;
const WITHOUT_EVENTS_MS = 10000;
const GIVE_UP_AFTER_MS = 10000;

const lost = document.getElementById("lost");
const announcement = document.getElementById("announcement");
let fetchedAt = Date.now();
let timer = null;
let busy = false;
let again = false;

function meta() {
  return document.getElementById("freshness").dataset;
}

function tellAge(word) {
  document.getElementById("link-word").textContent = word + " data from";
}

function say(text) {
  if (announcement.textContent !== text) announcement.textContent = text;
}

function showLost() {
  if (!lost.hidden) return;
  lost.textContent = "Connection lost. What you see is from " + meta().clock + " and may not be true now.";
  lost.hidden = false;
  document.body.classList.add("is-lost");
  tellAge("lost,");
}

function showFound() {
  if (lost.hidden) return;
  lost.hidden = true;
  lost.textContent = "";
  document.body.classList.remove("is-lost");
  say("Connected again.");
}

// What a person has opened stays open, what is focused stays focused, what is being selected is left alone.
function exchange(part, next) {
  for (const open of part.querySelectorAll("details[open][id]")) {
    const twin = next.querySelector("#" + CSS.escape(open.id));
    if (twin) twin.open = true;
  }
  if (part.isEqualNode(next)) return;
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && part.contains(selection.anchorNode)) return;
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...part.querySelectorAll("a, summary")].indexOf(focused) : -1;
  const href = focused ? focused.getAttribute("href") : null;
  part.replaceWith(next);
  if (!focused) return;
  const twin = href ? next.querySelector('a[href="' + CSS.escape(href) + '"]') : next.querySelectorAll("a, summary")[place];
  if (twin) twin.focus({ preventScroll: true });
}

function show(fresh) {
  const before = meta().summary;
  const seen = new Set();
  for (const next of fresh.querySelectorAll("[data-live]")) {
    seen.add(next.id);
    const part = document.getElementById(next.id);
    if (part) {
      exchange(part, document.importNode(next, true));
    } else {
      // A class that was not there before: the whole page has another shape.
      location.reload();
      return;
    }
  }
  for (const part of document.querySelectorAll("[data-live]")) {
    if (!seen.has(part.id)) part.remove();
  }
  tellAge("live,");
  document.title = fresh.title;
  if (meta().summary !== before) say(meta().summary);
}

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(location.pathname + location.search, {
      cache: "no-store",
      signal: AbortSignal.timeout(GIVE_UP_AFTER_MS),
    });
    if (answer.status === 404) {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error("the coordinator answered " + answer.status);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    showFound();
  } catch (error) {
    showLost();
  } finally {
    fetchedAt = Date.now();
    busy = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

function soon() {
  if (timer !== null || document.hidden) return;
  const wait = Math.max(0, fetchedAt + AT_MOST_EVERY_MS - Date.now());
  timer = setTimeout(() => {
    timer = null;
    refresh();
  }, wait);
}

function listen() {
  const events = new EventSource("/api/v1/events");
  for (const name of ["hello", "reset", "node", "verdict", "operation"]) events.addEventListener(name, soon);
  events.addEventListener("error", () => {
    soon();
    // A stream that was refused for good is opened again later; meanwhile the clock below keeps the page fresh.
    if (events.readyState === EventSource.CLOSED) {
      events.close();
      setTimeout(listen, WITHOUT_EVENTS_MS);
    }
  });
}

tellAge("live,");
document.addEventListener("visibilitychange", soon);
setInterval(soon, WITHOUT_EVENTS_MS);
listen();
