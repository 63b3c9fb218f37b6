// <time data-clock>: hours and minutes where the reader is; data-clock="day" says the day too. In a list of spans
// (.when: from, to) the day stands where it differs from the one before.
const hours = at => at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = at => `${at.getDate()} ${at.toLocaleString("en", { month: "short" })}`;

function write(time, withDay) {
  const at = new Date(time.dateTime), words = withDay ? `${day(at)} ${hours(at)}` : hours(at);
  if (time.textContent !== words) time.textContent = words;
  const exact = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  if (time.title !== exact) time.title = exact;
}

export function refresh() {
  for (const time of document.querySelectorAll("time[data-clock]")) if (!time.closest(".when")) write(time, time.dataset.clock === "day");
  let before = "";
  for (const span of document.querySelectorAll(".when")) {
    const [from, to] = span.querySelectorAll("time[data-clock]"), began = from ? day(new Date(from.dateTime)) : before;
    if (from) write(from, before !== "" && began !== before);
    if (to) write(to, day(new Date(to.dateTime)) !== began);
    before = began;
  }
}
refresh();
