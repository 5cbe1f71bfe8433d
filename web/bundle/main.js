import"./chunk-ENZ56HKM.js";
