import{a}from"./chunk-XLSJXYDT.js";import"./chunk-SFZA7C6N.js";import"./chunk-4VJ6FCWO.js";import"./chunk-K5S5F4G2.js";import"./chunk-MDDB7QXW.js";export{a as AddTransaction};
