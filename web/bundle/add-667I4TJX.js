import{a}from"./chunk-IDZIIS3I.js";import"./chunk-ZQZTRTQU.js";import"./chunk-SFZA7C6N.js";import"./chunk-CVZPAYC7.js";export{a as AddTransaction};
