import{a,b,c}from"./chunk-FTXM67RM.js";import"./chunk-ENZ56HKM.js";export{c as fired,b as said,a as wanted};
