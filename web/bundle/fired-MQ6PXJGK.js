import{a,b,c}from"./chunk-AO6PDHJK.js";import"./chunk-O5Q4UVE3.js";export{c as fired,b as said,a as wanted};
