import{a,b,c}from"./chunk-3ZYCY7JK.js";import"./chunk-DGIYUIGR.js";export{c as fired,b as said,a as wanted};
