import{a}from"./chunk-CGR6DF2U.js";import"./chunk-5Y376MKW.js";import"./chunk-SFZA7C6N.js";import"./chunk-ENZ56HKM.js";export{a as AddTransaction};
