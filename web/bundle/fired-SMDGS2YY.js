import{a,b,c}from"./chunk-WKDVQYGE.js";import"./chunk-LJDGQAMP.js";export{c as fired,b as said,a as wanted};
