import{a}from"./chunk-ZSKABFHL.js";import"./chunk-NXRO7J6T.js";import"./chunk-SFZA7C6N.js";import"./chunk-DGIYUIGR.js";export{a as AddTransaction};
