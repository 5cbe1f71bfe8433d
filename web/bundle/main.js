import"./chunk-TN3ZHJJF.js";
