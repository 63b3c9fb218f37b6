// A websocket that comes back: with growing pauses and some chance in them, at once when the page is looked at again.
// Its heartbeat is answered with the version of all that lists show: where that is another one than the last that was
// heard, a hint may have been lost, and behind() asks for the list again.
const HEARTBEAT = 25_000, LONGEST = 15_000;

export class Socket {
  // address(): the path to open, asked for at each attempt, since it says the last number that the page has.
  constructor(address, { message, state = () => {}, behind = () => {} }) {
    Object.assign(this, { address, message, state, behind, version: document.body.dataset.changes, pause: 250, open: false });
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.hurry() });
    addEventListener("pagehide", () => { this.leaving = true; this.socket?.close() });
    addEventListener("pageshow", event => { if (event.persisted) { this.leaving = false; this.hurry() } });
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    const socket = this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.address()}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.open = true;
      this.pause = 250;
      socket.send("{}"); // what was missed before, and while we were away
      this.beat = setInterval(() => socket.send("{}"), HEARTBEAT);
      this.state(true);
    };
    socket.onmessage = event => this.heard(event.data) || this.message(event.data);
    socket.onclose = () => {
      clearInterval(this.beat);
      this.open = false;
      if (this.leaving || this.done || socket !== this.socket) return;
      this.state(false);
      this.timer = setTimeout(() => this.connect(), this.pause * (0.5 + Math.random()));
      this.pause = Math.min(LONGEST, this.pause * 2);
    };
  }

  heard(data) { // whether it was the answer to a heartbeat
    if (typeof data !== "string" || !data.startsWith('{"type": "changes"')) return false;
    const { version } = JSON.parse(data), before = this.version;
    this.version = version;
    if (before && version !== before) this.behind();
    return true;
  }

  hurry() {
    if (this.done || this.socket.readyState <= WebSocket.OPEN) return;
    this.pause = 250;
    this.connect();
  }

  finish() {
    this.done = true;
    this.socket.close();
  }
}
