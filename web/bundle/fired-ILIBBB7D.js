import{a,b,c}from"./chunk-RT7265A6.js";import"./chunk-UEC2PTIY.js";export{c as fired,b as said,a as wanted};
