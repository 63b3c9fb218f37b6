// The segment page: one behaviour a file.
import "./segments-acts.js";
import "./segments-live.js";
import "./segments-walk.js";
