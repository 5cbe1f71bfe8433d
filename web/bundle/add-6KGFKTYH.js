import{a}from"./chunk-FV2XBQ6X.js";import"./chunk-K25T2XFX.js";import"./chunk-SFZA7C6N.js";import"./chunk-AJ3CCEGF.js";export{a as AddTransaction};
