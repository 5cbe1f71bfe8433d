import{a,b,c}from"./chunk-PN4JXHKH.js";import"./chunk-2XQ46XEA.js";export{c as fired,b as said,a as wanted};
