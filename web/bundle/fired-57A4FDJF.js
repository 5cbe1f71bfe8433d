import{a,b,c}from"./chunk-75V33CU3.js";import"./chunk-AJ3CCEGF.js";export{c as fired,b as said,a as wanted};
