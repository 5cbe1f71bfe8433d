import"./chunk-AJ3CCEGF.js";
