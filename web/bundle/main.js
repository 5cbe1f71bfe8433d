import"./chunk-JPYUCWCT.js";
