import"./chunk-2XQ46XEA.js";
