import{a}from"./chunk-U5JDN6VH.js";import"./chunk-IXGIOV2R.js";import"./chunk-SFZA7C6N.js";import"./chunk-TN3ZHJJF.js";export{a as AddTransaction};
