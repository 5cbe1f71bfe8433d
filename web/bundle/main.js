import"./chunk-H4ZOTLXZ.js";
