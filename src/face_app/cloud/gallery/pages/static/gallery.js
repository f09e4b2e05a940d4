// The pages work without this file. It shows news as they arrive, and moves between faces by keys.
"use strict";

const main = document.getElementById("main");
const live = main.dataset.live;
const said = document.getElementById("said");
const more = document.getElementById("more");
let waiting = 0;
let busy = false;
let again = false;

// Replace the changing parts of the page by those of the same address now. The form of the filter stays as it is.
async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected) { location.reload(); return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (live === "problem" && answer.ok) { location.reload(); return; }
    const known = new Set([...document.querySelectorAll("[data-key]")].map((card) => card.dataset.key));
    const focused = document.activeElement?.getAttribute("href");
    for (const id of ["notices", "live"]) {
      const [before, after] = [document.getElementById(id), page.getElementById(id)];
      if (before && after && before.innerHTML !== after.innerHTML) before.replaceWith(document.importNode(after, true));
    }
    const fresh = [...document.querySelectorAll("[data-key]")].filter((card) => !known.has(card.dataset.key));
    if (known.size) fresh.forEach((card) => card.classList.add("fresh"));
    if (fresh.length) said.textContent = fresh.length === 1 ? "1 new face" : `${fresh.length} new faces`;
    if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    waiting = 0;
    if (more) more.hidden = true;
  } catch (error) {
    said.textContent = "The gallery does not answer.";
  } finally {
    busy = false;
    if (again) { again = false; setTimeout(refresh, 1000); }
  }
}

// Further down, the page does not move: a button offers the news.
function arrived(faces) {
  waiting += faces;
  if (!more || window.scrollY < 300 || !faces) { refresh(); return; }
  more.textContent = waiting === 1 ? "1 new face" : `${waiting} new faces`;
  more.hidden = false;
}

let lost = false;

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("faces", (event) => arrived(JSON.parse(event.data).faces));
  events.addEventListener("change", () => { if (window.scrollY < 300) refresh(); });
  events.onerror = () => {
    lost = true;
    // The browser asks again after a lost connection, but not after a refusal: the login has ended, or too many watch.
    if (events.readyState === EventSource.CLOSED) { refresh(); setTimeout(listen, 15000); }
  };
  events.onopen = () => { if (lost) { lost = false; refresh(); } };
}

if (live && window.EventSource) {
  listen();
  more?.addEventListener("click", () => { window.scrollTo({ top: 0 }); refresh(); });
}

// j, k or arrows: from card to card, or to the newer and older face. Escape: back to the timeline.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const back = ["ArrowLeft", "k"].includes(event.key);
  const forth = ["ArrowRight", "j"].includes(event.key);
  if (main.dataset.page === "face") {
    const target = event.key === "Escape" ? "back" : back ? "newer" : forth ? "older" : "";
    if (target) document.getElementById(target)?.click();
    return;
  }
  const cards = [...document.querySelectorAll(".card")];
  if (!(back || forth) || !cards.length) return;
  const now = cards.indexOf(document.activeElement);
  cards[Math.min(Math.max(now + (forth ? 1 : -1), 0), cards.length - 1)].focus();
  event.preventDefault();
});
