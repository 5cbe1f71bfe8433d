import{a,b,c}from"./chunk-KTWY5AUS.js";import"./chunk-CVZPAYC7.js";export{c as fired,b as said,a as wanted};
