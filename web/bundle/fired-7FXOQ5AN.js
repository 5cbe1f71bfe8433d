import{a,b,c}from"./chunk-QNZ5F3PK.js";import"./chunk-KC2QAP2A.js";export{c as fired,b as said,a as wanted};
