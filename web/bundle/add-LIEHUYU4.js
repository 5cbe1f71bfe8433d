import{c as a}from"./chunk-7X7CFHUJ.js";import"./chunk-UUXQEY2J.js";import"./chunk-SFZA7C6N.js";import"./chunk-H4ZOTLXZ.js";export{a as AddTransaction};
