import{a}from"./chunk-AVO3Q6G5.js";import"./chunk-QTANWXJL.js";import"./chunk-SFZA7C6N.js";import"./chunk-V4GDPEPD.js";export{a as AddTransaction};
