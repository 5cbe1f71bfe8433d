import{a}from"./chunk-BFFLZF2Q.js";import"./chunk-WX2A2IC3.js";import"./chunk-SFZA7C6N.js";import"./chunk-M57U3JCR.js";export{a as AddTransaction};
