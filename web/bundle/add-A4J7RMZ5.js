import{a}from"./chunk-76GEDXIE.js";import"./chunk-P2XKAT6K.js";import"./chunk-SFZA7C6N.js";import"./chunk-O5Q4UVE3.js";export{a as AddTransaction};
