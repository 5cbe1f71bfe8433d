import{a,b,c}from"./chunk-LNOYVJQH.js";import"./chunk-I6GBACWP.js";export{c as fired,b as said,a as wanted};
