import{a,b,c}from"./chunk-MW5HM6SQ.js";import"./chunk-H4ZOTLXZ.js";export{c as fired,b as said,a as wanted};
