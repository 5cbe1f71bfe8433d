import{a,b,c}from"./chunk-G4GQ573L.js";import"./chunk-JPYUCWCT.js";export{c as fired,b as said,a as wanted};
