import{a,b,c}from"./chunk-H7LAIQSJ.js";import"./chunk-TN3ZHJJF.js";export{c as fired,b as said,a as wanted};
