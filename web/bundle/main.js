import"./chunk-CVZPAYC7.js";
