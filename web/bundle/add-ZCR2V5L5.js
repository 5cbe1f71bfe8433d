import{a}from"./chunk-VXUIWJRH.js";import"./chunk-4K2XSXSB.js";import"./chunk-SFZA7C6N.js";import"./chunk-3TFJ7BBS.js";export{a as AddTransaction};
