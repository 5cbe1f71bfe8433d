import"./chunk-INZFPB5J.js";
