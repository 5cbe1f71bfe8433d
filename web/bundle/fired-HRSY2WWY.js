import{a,b,c}from"./chunk-QDS7YWTH.js";import"./chunk-INZFPB5J.js";export{c as fired,b as said,a as wanted};
