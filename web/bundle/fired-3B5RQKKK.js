import{a,b,c}from"./chunk-V3VOMHNH.js";import"./chunk-V4GDPEPD.js";export{c as fired,b as said,a as wanted};
