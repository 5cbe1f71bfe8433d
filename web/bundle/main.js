import"./chunk-UEC2PTIY.js";
