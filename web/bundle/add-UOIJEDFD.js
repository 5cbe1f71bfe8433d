import{a}from"./chunk-WJKTRBVW.js";import"./chunk-UWMUA66E.js";import"./chunk-SFZA7C6N.js";import"./chunk-H5DN5ZKE.js";export{a as AddTransaction};
