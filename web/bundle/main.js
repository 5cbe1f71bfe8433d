import"./chunk-O5Q4UVE3.js";
