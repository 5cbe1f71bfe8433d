import{a,b,c}from"./chunk-WMSVQFCG.js";import"./chunk-3TFJ7BBS.js";export{c as fired,b as said,a as wanted};
