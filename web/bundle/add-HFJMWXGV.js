import{a}from"./chunk-YQBNSWOF.js";import"./chunk-Q4LIX433.js";import"./chunk-SFZA7C6N.js";import"./chunk-UEC2PTIY.js";export{a as AddTransaction};
