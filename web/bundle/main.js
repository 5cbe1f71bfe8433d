import"./chunk-I6GBACWP.js";
