import"./chunk-KC2QAP2A.js";
