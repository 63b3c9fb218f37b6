// The board: one behaviour a file.
import "./board-acts.js";
import "./board-drag.js";
import "./board-fold.js";
import "./board-live.js";
import "./board-pick.js";
import "./board-walk.js";
import "./drafts.js";
import "./duplicates.js";
import "./filters.js";
