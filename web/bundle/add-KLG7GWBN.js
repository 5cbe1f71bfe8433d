import{a}from"./chunk-4DB2U4WD.js";import"./chunk-XDS25BY6.js";import"./chunk-SFZA7C6N.js";import"./chunk-KC2QAP2A.js";export{a as AddTransaction};
