import"./chunk-3TFJ7BBS.js";
