import{a}from"./chunk-UWHREMUX.js";import"./chunk-G5LX2OAI.js";import"./chunk-SFZA7C6N.js";import"./chunk-M46OPKTI.js";export{a as AddTransaction};
