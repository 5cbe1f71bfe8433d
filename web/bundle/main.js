import"./chunk-DGIYUIGR.js";
