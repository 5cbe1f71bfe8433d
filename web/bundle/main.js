import"./chunk-5LPVK3VE.js";
