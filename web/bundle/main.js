import"./chunk-H5DN5ZKE.js";
