import{a,b,c}from"./chunk-Q2FSQY2W.js";import"./chunk-M46OPKTI.js";export{c as fired,b as said,a as wanted};
