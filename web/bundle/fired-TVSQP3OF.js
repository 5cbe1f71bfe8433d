import{a,b,c}from"./chunk-2MCDKW3T.js";import"./chunk-H5DN5ZKE.js";export{c as fired,b as said,a as wanted};
