import"./chunk-M46OPKTI.js";
