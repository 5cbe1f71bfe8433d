import{a,b,c}from"./chunk-GTNZVJ4C.js";import"./chunk-M57U3JCR.js";export{c as fired,b as said,a as wanted};
