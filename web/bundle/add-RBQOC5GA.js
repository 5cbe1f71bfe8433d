import{a}from"./chunk-L4AGZPPS.js";import"./chunk-6KDNQDRD.js";import"./chunk-SFZA7C6N.js";import"./chunk-2XQ46XEA.js";export{a as AddTransaction};
