import"./chunk-M57U3JCR.js";
