import{a,b,c}from"./chunk-ADRPAOYQ.js";import"./chunk-5LPVK3VE.js";export{c as fired,b as said,a as wanted};
