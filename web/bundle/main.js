import"./chunk-LJDGQAMP.js";
