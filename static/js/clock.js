// <time data-clock>: hours and minutes where the reader is; data-clock="day" says the day too. In a list of spans
// (.when: from, to) the day stands where it differs from the one before.
// Formatters are made once: to make one takes longer than to format a hundred times.
export const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const month = new Intl.DateTimeFormat("en", { month: "short" });
export const day = at => `${at.getDate()} ${month.format(at)}`;

function write(time, withDay) {
  const at = new Date(time.dateTime), words = withDay ? `${day(at)} ${clock.format(at)}` : clock.format(at);
  if (time.textContent !== words) time.textContent = words;
  const exact = exactly.format(at);
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
