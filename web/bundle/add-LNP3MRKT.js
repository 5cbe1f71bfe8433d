import{c as a}from"./chunk-FMBAFY26.js";import"./chunk-24SRV362.js";import"./chunk-SFZA7C6N.js";import"./chunk-5LPVK3VE.js";export{a as AddTransaction};
